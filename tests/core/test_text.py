import pytest

from edge_convnext.core.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc", r"a\x0ab\x09c"),
        ("a\u202eb", r"a\u202eb"),
        ("a\U000e0001b", r"a\U000e0001b"),
        ("##[error]", r"##\x5berror]"),
        ("ideographic\u3000space, crème, 猫", "ideographic\u3000space, crème, 猫"),
    ],
)
def test_what_steers_a_terminal_is_shown_by_its_escape(text, shown):
    assert printable(text) == shown
