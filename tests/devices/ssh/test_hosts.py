import getpass
import re

import pytest
from support.ssh_boards import FIRST, SECOND

from edge_convnext.devices.ssh import (
    RemoteSettings,
    bench_on_hosts,
)
from edge_convnext.devices.ssh.hosts import folder_name
from edge_convnext.devices.ssh.session import Session

pytest.importorskip("torch", reason="the build extra is not installed")


@pytest.mark.parametrize(
    ("surprise", "said"),
    [
        (RuntimeError("odd\n\x1b[2Jline"), r"failed unexpectedly \(RuntimeError: odd"),
        (KeyError("gpus"), r"failed unexpectedly \(KeyError: 'gpus'\)"),
        (OSError(28, "No space left on device", "/full/x"), r"^/full/x: No space left on device$"),
    ],
)
def test_one_host_s_surprise_is_its_own_line(root, tmp_path, monkeypatch, surprise, said):
    done = object()

    def run(self, out):
        if self.host.name == FIRST:
            raise surprise
        return done

    monkeypatch.setattr(Session, "run", run)
    first, second = bench_on_hosts(
        root / "tiny.ecb", [FIRST, SECOND], tmp_path / "out", RemoteSettings(), lambda _: None
    )
    assert re.search(said, first.error)
    assert first.error.isprintable()
    assert (second.report, second.error) == (done, None)


def test_folders_of_hosts():
    assert folder_name(f"{getpass.getuser()}@orin.local") == f"{getpass.getuser()}-orin.local"
    assert folder_name("../..") == "host"
