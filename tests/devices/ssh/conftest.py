"""What the tests of this folder share."""

import pytest
from support import ssh_boards

from edge_convnext.devices.ssh import (
    session,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    from support.board_builds import bundle_tiny  # it needs torch, and a conftest may not

    folder = tmp_path_factory.mktemp("remote")
    bundle_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    yield from ssh_boards.serve(tmp_path_factory.mktemp("sshd"))


@pytest.fixture
def clean(boards):
    """Nothing of another test on the boards, and nothing of this one afterwards."""
    boards.wipe()
    yield
    boards.wipe()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wait less, and send in pieces that can be cut between."""
    monkeypatch.setattr(session, "FIRST_WAIT_S", 0.2)
    monkeypatch.setattr(session, "CHUNK_BYTES", 1 << 14)
