"""A bundle for the tests of the folders below."""

import pytest
from support.board_builds import bundle_tiny


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    bundle_tiny(folder)
    return folder
