"""The table of devices, and what is printed of it."""

import io

from rich.console import Console

from edge_convnext.devices.catalog.rows import load_table

TABLE = load_table()


def printed(show, *arguments, width=120):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show(*arguments, console)
    return console.file.getvalue()
