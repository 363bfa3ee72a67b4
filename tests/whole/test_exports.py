import pytest

import edge_convnext


def test_the_package_exports_what_it_says():
    for name in edge_convnext.__all__:
        assert getattr(edge_convnext, name).__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        edge_convnext.nothing  # noqa: B018
