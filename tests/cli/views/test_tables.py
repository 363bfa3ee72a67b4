import io

from rich.console import Console

from edge_convnext.cli.views.tables import grid, plain, printer


def console_of(width, terminal):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def test_a_pipe_gets_the_width_that_tables_need_and_a_terminal_keeps_its_own():
    for width, terminal, found in ((80, False, 120), (200, False, 200), (80, True, 80)):
        console = console_of(width, terminal)
        printer(console)("text")
        assert console.width == found
        assert console.file.getvalue() == "text\n"


def test_cells_are_aligned_indented_and_plain():
    console = console_of(80, terminal=True)
    printer(console)(grid([("a", "1"), ("[b]\x1b", "10")], "lr"))
    assert console.file.getvalue().splitlines() == ["  a      1", "  [b]   10"]


def test_text_from_outside_is_one_line_and_no_command():
    assert plain("a\n::stop-commands::b ##[x]") == r"a :\x3astop-commands:\x3ab ##\x5bx]"
