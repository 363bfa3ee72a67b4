"""The version of this package, which reports, bundles and graphs carry."""

__version__ = "0.1.0"
