"""All builds and baselines below a folder, as one table and a trend."""
