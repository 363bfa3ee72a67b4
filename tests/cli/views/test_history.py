from support.device_table import printed
from support.histories import entry

from edge_convnext.cli.views.history import print_history


def test_lines_are_printed_in_their_order_as_text():
    lines = [entry(2, label="[b]x[/b]\x1b[2J"), entry(1, busy="others")]
    text = printed(print_history, lines, width=160)
    assert text.index("build/2") < text.index("build/1")
    assert "[b]x[/b]" in text
    assert "\x1b" not in text
    assert "busy: other programs" in text
