"""On the board: race the graphs of a search, one engine at a time, and say which one won.

`search.search_bundle` is the whole. What was done is in a journal, by which a search that was
killed goes on. This needs neither torch nor nncf.
"""

from edge_convnext.devices.tuning.search import SearchSettings, search_bundle

__all__ = ["SearchSettings", "search_bundle"]
