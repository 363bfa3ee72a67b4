"""Image classifiers of transformers, by `hf:NAME_OR_FOLDER`."""
