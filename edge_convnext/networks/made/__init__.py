"""Networks whose module is made by a function outside of this package."""
