"""What every layer may use: errors, text, files, the cache, the recipe, numbers, intervals."""
