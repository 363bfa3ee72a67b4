from support.device_table import printed
from support.gate_builds import sha, write_build

from edge_convnext.cli.views.comparison import print_comparison
from edge_convnext.report.compare.compare import compare

HOSTILE = "[red]x[/red]\x1b[2J"


def test_names_are_text_and_move_no_cursor(tmp_path):
    rows = [[sha(index), HOSTILE, HOSTILE, "1.0", "b", "1.0"] for index in range(30)]
    write_build(tmp_path, rows)
    text = printed(print_comparison, compare(tmp_path, tmp_path))
    assert text.startswith("Better, same, worse\nNo difference shown.")
    assert "\x1b" not in text
    many = [[sha(index), f"{index} {HOSTILE}", "b", "1.0", "b", "1.0"] for index in range(30)]
    (tmp_path / "b").mkdir()
    write_build(tmp_path / "b", [[*one[:2], one[1], "1.0", one[1], "1.0"] for one in many])
    (tmp_path / "c").mkdir()
    write_build(tmp_path / "c", many)
    text = printed(print_comparison, compare(tmp_path / "b", tmp_path / "c"))
    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "10 more rows" in text
