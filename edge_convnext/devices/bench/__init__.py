"""On the board: build engines, time and evaluate a bundle's candidates, decide what ships there.

This needs neither torch nor nncf.
"""

from edge_convnext.devices.bench.bench import BoardSettings, bench_bundle

__all__ = ["BoardSettings", "bench_bundle"]
