"""Several boards side by side, each on its own thread."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.errors import EdgeConvNextError, RemoteError, shorten
from edge_convnext.devices.ssh.client import Host
from edge_convnext.devices.ssh.session import Session

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = ["HostResult", "RemoteSettings", "bench_on_hosts", "check_hosts"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteSettings:
    """Settings for all hosts."""

    ssh_options: tuple[str, ...] = ()  # as after `ssh -o`
    command: str = "edge-convnext"  # on the board; shell words
    arguments: tuple[str, ...] = ()  # of `bench` there
    keep: bool = False
    give_up_s: float = 600.0


@dataclass(frozen=True)
class HostResult:
    """The result of one host: a report, or an error in one line."""

    host: str
    folder: Path
    report: Report | None
    error: str | None


def check_hosts(hosts: Sequence[str], settings: RemoteSettings) -> None:
    """Fail before any work is done where a board can't be used.

    Raises:
        RemoteError: A host can't be reached, or lacks the package; the message is of the first one.
    """
    for host in dict.fromkeys(hosts):
        Session(Host(host, settings.ssh_options), Path(), (), settings.command).check()


def bench_on_hosts(
    bundle: Path,
    hosts: Sequence[str],
    out: Path,
    settings: RemoteSettings,
    say: Callable[[str], None],
) -> list[HostResult]:
    """Run a bundle on every host at once.

    Args:
        bundle: Bundle that `edge-convnext bundle` wrote.
        hosts: Names for ssh; each once.
        out: Folder in which each host gets a folder.
        settings: Settings of ssh and of the bench.
        say: Function that is called with every line of progress, the host in front.

    Returns:
        Results in the order of `hosts`. A host that failed has an error; the others go on.

    Raises:
        ArtifactError: The bundle is damaged; then nothing is copied.
    """
    from edge_convnext.devices.bundle import open_bundle

    open_bundle(bundle)
    names = list(dict.fromkeys(hosts))
    folders = {name: out / folder_name(name) for name in names}
    if len(set(folders.values())) != len(names):
        raise RemoteError("two hosts would write into one folder; run them one after the other")
    width, lock = max(len(name) for name in names), threading.Lock()

    def one(name: str) -> HostResult:
        def tell(text: str) -> None:
            with lock:
                say(f"{name:{width}}  {text}")

        try:
            session = Session(
                host=Host(name, settings.ssh_options),
                bundle=bundle,
                arguments=settings.arguments,
                command=settings.command,
                keep=settings.keep,
                give_up_s=settings.give_up_s,
                say=tell,
            )
            return HostResult(name, folders[name], session.run(folders[name]), None)
        except EdgeConvNextError as error:
            return HostResult(name, folders[name], None, " ".join(str(error).split()))
        except OSError as error:  # the local disk
            why = error.strerror or type(error).__name__
            return HostResult(
                name, folders[name], None, f"{error.filename or folders[name]}: {why}"
            )
        except Exception as error:  # a bug, or something unexpected on this host: the others go on
            _log.debug("%s", name, exc_info=True)
            text = shorten(f"{type(error).__name__}: {error}")
            return HostResult(name, folders[name], None, f"{name}: failed unexpectedly ({text})")

    pool = ThreadPoolExecutor(len(names), thread_name_prefix="host")
    try:
        return list(pool.map(one, names))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for the boards


def folder_name(host: str) -> str:
    """A host as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", host).strip(".-") or "host"
