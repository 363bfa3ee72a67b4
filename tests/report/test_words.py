import pytest

from edge_convnext.report.words import MISSING, count, number, plain


def test_what_was_not_measured_is_one_sign():
    assert number(None, 2) == count(None) == MISSING


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (1.256, "1.26"), (0.0, "0.00")])
def test_a_number_has_its_digits(value, text):
    assert number(value, 2) == text


def test_a_count_that_is_missing_is_a_dash():
    assert count(None) == "-"
    assert count(1234) in ("1234", "1,234")


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\nb", "a\u202eb"])
def test_text_from_outside_steers_nothing(text):
    assert plain(text).isprintable()
