from support.libraries import import_transformers

import_transformers()
