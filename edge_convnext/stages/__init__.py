"""One file for each stage of the chain: a typed artefact in, a typed artefact out."""
