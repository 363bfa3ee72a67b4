"""What `edge_convnext.networks.training.train` is made of; needs torch."""
