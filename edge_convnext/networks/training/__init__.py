"""Training from labelled images; needs torch. `train` is the entry."""
