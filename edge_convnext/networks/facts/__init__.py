"""What weights say beside tensors: class names, preprocessing, licence, and who says so.

`table` lists every place that is looked at, `mappings` reads one mapping in the dialect of the tool
that wrote it, `inside` and `beside` find the mappings, and `settle` decides between them.
"""
