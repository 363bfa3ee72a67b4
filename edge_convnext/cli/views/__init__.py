"""What commands print: the only modules with rich."""
