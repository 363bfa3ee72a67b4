"""Options and output of commands that run on other machines over SSH."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.console import note, print_json, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.devices.ssh import HostResult, RemoteSettings
    from edge_convnext.report.contract import Report

__all__ = ["REMOTE_COMMAND", "Remote", "bench_over_ssh", "measure_build"]

REMOTE_COMMAND = "edge-convnext"


@dataclass(frozen=True)
class Remote:
    """The flags of commands that run on other machines."""

    host: Annotated[
        list[str] | None,
        typer.Option(
            help="Machine to measure on: user@board, or an alias of ~/.ssh/config; repeatable."
        ),
    ] = None
    ssh_option: Annotated[
        list[str] | None,
        typer.Option(help="Option for ssh -o, such as Port=2222; repeatable."),
    ] = None
    remote_command: Annotated[
        str,
        typer.Option(
            help="Command of edge-convnext on that machine, such as venv/bin/edge-convnext."
        ),
    ] = REMOTE_COMMAND
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Leave the bundle and its engines on the board, in ~/.cache/edge-convnext-remote.",
        ),
    ] = False

    def stated(self) -> list[str]:
        """The flags about another machine that are stated, except `--host`."""
        values = {
            "--ssh-option": self.ssh_option,
            "--remote-command": self.remote_command != REMOTE_COMMAND,
            "--keep": self.keep,
        }
        return [name for name, value in values.items() if value]

    def require_host(self) -> None:
        """Refuse flags about other machines if none is named.

        Raises:
            RecipeError: One of the flags is stated without --host.
        """
        from edge_convnext.core.errors import RecipeError

        if not self.host and (alone := self.stated()):
            raise RecipeError(f"{alone[0]} is about another machine: add --host, or leave it out")

    def settings(self, words: Sequence[str]) -> RemoteSettings:
        """The flags as one value; `words` are the flags of `bench` itself, for the board."""
        from edge_convnext.devices.ssh import RemoteSettings

        options = tuple(self.ssh_option or ())
        return RemoteSettings(options, self.remote_command, tuple(words), self.keep)


def bench_over_ssh(
    bundle: Path,
    hosts: Sequence[str],
    out: Path | None,
    settings: RemoteSettings,
    json: bool,
    quiet: bool,
) -> list[HostResult]:
    """Bench on every host and print one table; exit 3 if a host failed, 1 for a requirement."""
    from edge_convnext.devices.ssh import bench_on_hosts

    silent = quiet or json
    folder = out or Path("board") / bundle.stem
    results = bench_on_hosts(bundle, hosts, folder, settings, lambda text: note(text, silent))
    if json:
        print_json(
            {
                one.host: one.report.model_dump(mode="json", by_alias=True)
                if one.report
                else {"error": one.error}
                for one in results
            }
        )
    else:
        _print(results)
    failed = [one for one in results if one.error is not None]
    for one in failed:
        note(f"error: {one.error}")
    if failed:
        raise typer.Exit(3)
    if not all(one.report.verdict.passed for one in results if one.report):
        raise typer.Exit(1)
    return results


def measure_build(
    report: Report, hosts: Sequence[str], settings: RemoteSettings, silent: bool
) -> tuple[Report, list[str]]:
    """Bundle a finished build, bench it on every host, and merge what comes back.

    The bundle stays in the build's folder: `bench BUNDLE --host` goes on after a lost connection.

    Returns:
        The build's report with the boards that were measured, and the errors of the others.
    """
    from edge_convnext.core.errors import EdgeConvNextError
    from edge_convnext.devices.bench.merge import merge_boards
    from edge_convnext.devices.bundle.write import bundle_build
    from edge_convnext.devices.ssh import bench_on_hosts

    folder = Path(report.folder)
    with progress(silent) as track:
        bundle = bundle_build(folder, track, lambda text: note(text, silent))

    def tell(text: str) -> None:
        note(text, silent)

    results = bench_on_hosts(bundle, hosts, folder / "boards", settings, tell)
    errors = [one.error for one in results if one.error is not None]
    for one in results:
        try:
            report = merge_boards(folder, [one.folder], tell) if one.report is not None else report
        except EdgeConvNextError as error:
            errors.append(f"{one.host}: {error}")
    return report, errors


def _print(results: Sequence[HostResult]) -> None:
    from rich.console import Console

    from edge_convnext.cli.views.boards import print_boards
    from edge_convnext.devices.bench.merge import as_run

    done = [(one, one.report) for one in results if one.report is not None]
    if not done:
        return
    runs = [as_run(report) for _, report in done]
    print_boards(runs, Console(), [one.host for one, _ in done])
    for one, _ in done:
        typer.echo(f"{one.host}: {one.folder / 'report.md'}")
