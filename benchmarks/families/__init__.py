"""One table: the networks of the field through the whole chain, beside other quantizers."""
