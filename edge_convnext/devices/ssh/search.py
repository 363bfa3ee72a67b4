"""A search on a board over SSH: copy it, follow it, start it again if it dies, fetch the result.

The journal of the search lies on the board and here. A board that lost its copy gets this one
before the search starts there. It is fetched every few minutes, and when the search has ended,
whatever ended it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError, EdgeConvNextError, RemoteError
from edge_convnext.devices.bundle.read import open_search
from edge_convnext.devices.ssh import scripts
from edge_convnext.devices.ssh.client import Host
from edge_convnext.devices.ssh.session import Session, SilentEndError
from edge_convnext.devices.tuning.journal import JOURNAL, add_missing
from edge_convnext.devices.tuning.publish import ENGINES
from edge_convnext.devices.tuning.result import RESULT, BoardSearch, read_result
from edge_convnext.report.manifest import MANIFEST, require_unedited

if TYPE_CHECKING:
    from typing import Any

    from edge_convnext.devices.ssh.hosts import RemoteSettings

__all__ = ["as_words", "examine_host", "search_on_host"]

_MOST_RESTARTS = 8  # of a search that dies; on the board, what kills it twice is left out
KEEP_EVERY_S = 120.0  # between copies of the journal; a copy disturbs a timing a little
_MOST_BYTES = 64 << 20  # of a journal, a result or a manifest


def examine_host(host: str, settings: RemoteSettings) -> dict[str, Any]:
    """What `doctor --json` says on a board.

    Raises:
        RemoteError: It can't be reached, or has no edge-convnext that can search.
    """
    return Session(Host(host, settings.ssh_options), Path(), (), settings.command).examine()


def search_on_host(
    bundle: Path,
    host: str,
    into: Path,
    journal: Path,
    settings: RemoteSettings,
    say: Callable[[str], None],
) -> BoardSearch:
    """Run a search on a board, and fetch its result and the engine that won.

    Args:
        bundle: Bundle of the search.
        host: Name for ssh.
        into: Existing folder for the files.
        journal: The desk's copy of the journal.
        settings: Settings of ssh; `arguments` are those of `tune` there.
        say: Function that is called with every line of progress.

    Raises:
        RemoteError: A step failed; the same call goes on from what is on the board and here.
        ArtifactError: The board's result is of another search, or was changed.
    """
    places: list[str] = []
    copied = time.monotonic()

    def tell(text: str) -> None:
        nonlocal copied
        say(text)
        if places and time.monotonic() - copied > KEEP_EVERY_S:
            copied = time.monotonic()
            _fetch_journal(session, places[0], journal)

    session = Session(
        Host(host, settings.ssh_options),
        bundle,
        (),
        settings.command,
        settings.keep,
        settings.give_up_s,
        tell,
        "tune",
        tuple(settings.arguments),
    )

    def do(folder: str) -> BoardSearch:
        places.append(folder)
        if journal.is_file():
            session.patiently(lambda: _put(session, folder, journal))
        try:
            _work_on(session, folder, say)
        finally:
            _fetch_journal(session, folder, journal)
        return session.patiently(lambda: _fetch(session, folder, into))

    found = session.carry_out(do)
    if found.bundle_sha256 != open_search(bundle).digest:
        raise ArtifactError(f"{host}: sent the result of another search; search again")
    return found


def _put(session: Session, folder: str, journal: Path) -> None:
    script = scripts.place(folder, f"out/{JOURNAL}")
    answer = session.host.send(script, iter([journal.read_bytes()]), lambda _: None)
    if answer.code != 0:
        raise RemoteError(f"{session.host.name}: the journal could not be copied there")


def _work_on(session: Session, folder: str, say: Callable[[str], None]) -> None:
    """Follow the search to its end; where it dies after some progress, start it again."""
    for _ in range(_MOST_RESTARTS):
        before = _journal_bytes(session, folder)
        try:
            session.work(folder)
        except SilentEndError as error:
            if _journal_bytes(session, folder) == before:
                raise
            say(f"{error.args[0].partition(';')[0]}; starting it again where it was")
        else:
            return
    session.work(folder)


def _journal_bytes(session: Session, folder: str) -> str:
    return session.patiently(lambda: session.do(scripts.size_of(folder, f"out/{JOURNAL}"))).strip()


def _fetch_journal(session: Session, folder: str, journal: Path) -> None:
    """Add what the board's journal has to the desk's; no error of it hides another."""
    with (
        contextlib.suppress(EdgeConvNextError, OSError),
        tempfile.TemporaryDirectory(prefix="edge-convnext-") as scratch,
    ):
        copy = Path(scratch) / JOURNAL
        session.receive(f"{folder}/out/{JOURNAL}", copy, _MOST_BYTES)
        add_missing(journal, copy)


def _fetch(session: Session, folder: str, into: Path) -> BoardSearch:
    for name in (RESULT, MANIFEST):
        session.receive(f"{folder}/out/{name}", into / name, _MOST_BYTES)
    require_unedited(into / RESULT)
    found = read_result(into / RESULT)
    for file in found.outputs:
        if file.path not in ENGINES:
            raise ArtifactError(f"a board's search names {file.path!r}, which is no file of it")
        session.fetch_file(f"{folder}/out/{file.path}", into / file.path, file)
    return found


def as_words(
    minutes: float | None, power_modes: Sequence[str], lock_clocks: bool = False
) -> tuple[str, ...]:
    """The settings of a search as words of a command line, for `tune` on the board."""
    words = [] if minutes is None else ["--minutes", f"{minutes:g}"]
    words += [word for mode in power_modes for word in ("--power-modes", mode)]
    return (*words, *(["--lock-clocks"] if lock_clocks else []))
