"""ConvNeXt V1 and V2: shapes, modules, state-dict dialects, folds and graph forms."""
