"""Tables and texts that commands print; the only modules that use rich."""
