"""The quantizers that a user would try instead, on the same model, images and minutes."""
