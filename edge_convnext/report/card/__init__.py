"""A Hugging Face model card of a build, and its figures as AI Hub writes them."""
