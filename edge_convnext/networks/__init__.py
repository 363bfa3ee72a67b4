"""The networks and their weights: checkpoints and the facts they state, models, training."""
