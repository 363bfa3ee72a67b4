"""A bundle for the tests of the folders below."""

import pytest


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    from support.board_builds import bundle_tiny  # it needs torch, and a conftest may not

    folder = tmp_path_factory.mktemp("board")
    bundle_tiny(folder)
    return folder
