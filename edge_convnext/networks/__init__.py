"""The networks and their weights: checkpoints and what they say, models, training."""
