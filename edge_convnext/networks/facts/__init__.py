"""Facts that weights state beside tensors (classes, preprocessing, licence), with their origin.

`table` lists every place that is read. `mappings` reads one mapping in the dialect of the tool that
wrote it. `inside` and `beside` find the mappings. `settle` decides between them.
"""
