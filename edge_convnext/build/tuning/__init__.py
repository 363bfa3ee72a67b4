"""Find the best plan of each runtime by measurement: list plans, race them, choose."""
