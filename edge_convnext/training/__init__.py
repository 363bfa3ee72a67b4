"""What `edge_convnext.train` is made of; needs torch."""
