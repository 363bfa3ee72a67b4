"""Boards that the tests reach over SSH: a real sshd on the loopback interface."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge_convnext.devices.ssh import RemoteSettings
from edge_convnext.devices.ssh.client import Host
from edge_convnext.devices.ssh.session import Session
from support.paths import ROOT

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
NEEDS_SSHD = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None,
    reason="needs an OpenSSH client and server: apt-get install openssh-server",
)

FIRST, SECOND = "127.0.0.1", "127.0.0.2"
NOISY, OTHER = "127.0.0.3", "127.0.0.4"  # logins that print something, and run something else
PYTHON = f"{sys.executable} -c 'from edge_convnext.cli import main; main()'"
GREETING = "echo Welcome to /tmp; echo running; echo 9; printf edge-convnext-; echo oh >&2"
ARGUMENTS = ("--runtime", "onnxruntime", "--rounds", "1")


@dataclass(frozen=True)
class Boards:
    """Two boards, which are two addresses of one sshd with a cache folder each."""

    server: subprocess.Popen
    folder: Path
    port: int

    def options(self, **changes):
        stated = {
            "Port": self.port,
            "IdentityFile": self.folder / "user",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            **changes,
        }
        return tuple(f"{name}={value}" for name, value in stated.items())

    def settings(self, **changes):
        return replace(RemoteSettings(self.options(), PYTHON, ARGUMENTS), **changes)

    def session(self, bundle, **changes):
        host = Host(FIRST, changes.pop("options", self.options()))
        return replace(Session(host, bundle, ARGUMENTS, PYTHON), **changes)

    def cache(self, host=FIRST):
        return self.folder / f"cache-{host}"

    def left(self, host=FIRST):
        """What is on a board."""
        return sorted(self.cache(host).glob("edge-convnext-remote/*"))

    def cut(self):
        """Cut every line, as a dead network does; what runs on the boards is not told."""
        import psutil

        for child in psutil.Process(self.server.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # one that just ended
                if child.name().startswith("sshd"):
                    child.kill()

    def wipe(self):
        """Remove all that is on the boards."""
        for host in (FIRST, SECOND):
            shutil.rmtree(self.cache(host), ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind((FIRST, 0))
        return probe.getsockname()[1]


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


def serve(folder: Path) -> Iterator[Boards]:
    """Run an sshd whose files lie in a folder, until the caller is done."""
    host_key = make_key(folder / "host")
    (folder / "authorized_keys").write_text(make_key(folder / "user"))
    make_key(folder / "stranger")
    port = free_port()
    known = [f"[{host}]:{port} {host_key}" for host in (FIRST, SECOND, NOISY, OTHER)]
    (folder / "known_hosts").write_text("".join(known))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates privileges
    path = f"{ROOT}:{ROOT / 'tests'}:{os.environ.get('PYTHONPATH', '')}"

    def environment(host):
        return f"SetEnv XDG_CACHE_HOME={folder / f'cache-{host}'} PYTHONPATH={path}"

    lines = [
        f"Port {port}", f"ListenAddress {FIRST}", f"ListenAddress {SECOND}",
        f"ListenAddress {NOISY}", f"ListenAddress {OTHER}",
        f"HostKey {folder / 'host'}", f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        f"PidFile {folder / 'pid'}", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
        "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
        f"Match LocalAddress {SECOND}", f"  {environment(SECOND)}",
        f"Match LocalAddress {NOISY}", f"  {environment(NOISY)}",
        f'  ForceCommand {GREETING}; eval "$SSH_ORIGINAL_COMMAND"',
        f"Match LocalAddress {OTHER}", "  ForceCommand echo This account is for backups.",
        "Match all", f"  {environment(FIRST)}",
    ]  # fmt: skip
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    server = subprocess.Popen(
        [str(SSHD), "-D", "-E", str(folder / "log"), "-f", str(folder / "sshd_config")]
    )
    until = time.monotonic() + 10
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((FIRST, port)) == 0:
                break
        time.sleep(0.05)
    if server.poll() is not None:
        pytest.fail(f"sshd did not start: {(folder / 'log').read_text()}")
    yield Boards(server, folder, port)
    server.terminate()
    server.wait()
