"""On the board: build engines, race and evaluate what a bundle holds, decide what ships there.

Needs neither torch nor nncf.
"""

from edge_convnext.devices.bench.bench import BoardSettings, bench_bundle

__all__ = ["BoardSettings", "bench_bundle"]
