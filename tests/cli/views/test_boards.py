import io

from rich.console import Console

from edge_convnext.cli.views import boards
from edge_convnext.report.summary import MISSING


def printed(rows, hosts=None):
    console = Console(file=io.StringIO(), width=120, color_system=None)
    boards.print_boards(rows, console, hosts)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_a_column_that_no_board_tells_is_left_out(monkeypatch):
    monkeypatch.setattr(boards, "BOARD_HEADINGS", ("board", "ship", "energy"))
    monkeypatch.setattr(boards, "board_cells", lambda run: run)
    orin, thor = ("orin", "int8", MISSING), ("thor", MISSING, MISSING)
    assert printed([orin, thor]) == [["board", "ship"], ["orin", "int8"], ["thor", MISSING]]
    with_energy = printed([orin, ("thor", "fp16", "3")], ["a@x", "b@y"])
    assert with_energy == [
        ["host", "board", "ship", "energy"],
        ["a@x", "orin", "int8", MISSING],
        ["b@y", "thor", "fp16", "3"],
    ]


def test_a_boards_words_are_no_markup(monkeypatch):
    monkeypatch.setattr(boards, "BOARD_HEADINGS", ("board",))
    monkeypatch.setattr(boards, "board_cells", lambda run: run)
    assert printed([("[red]x\x1b[2J",)])[1] == ["[red]x", "[2J"]
