"""Find the plan of each runtime by measurement: what is tried, the race, and the choice."""
