"""Image classifiers of timm, by `timm:NAME`."""
