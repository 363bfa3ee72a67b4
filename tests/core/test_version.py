import re
from importlib.metadata import version

import edge_convnext
from edge_convnext.core.version import __version__


def test_the_version_is_the_packages():
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", __version__)
    assert __version__ == version("edge-convnext") == edge_convnext.__version__
