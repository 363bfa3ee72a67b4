"""`edge-convnext doctor`."""

from __future__ import annotations

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json

__all__ = ["doctor"]


def doctor(json: JsonFlag = False, verbose: VerboseFlag = False) -> None:
    """Show what is installed, which runtimes and targets work here, and what to install."""
    from dataclasses import asdict

    from edge_convnext.devices.doctor import examine

    examination = examine()
    if json:
        print_json(asdict(examination))
        return
    from rich.console import Console

    from edge_convnext.cli.views.doctor import print_examination

    print_examination(examination, Console())
