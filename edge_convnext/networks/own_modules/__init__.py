"""A network of the user's own, by `module:package.file:function`."""
