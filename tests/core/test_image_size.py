import pytest

from edge_convnext.core.image_size import as_size, even_size, parse_size, show_size, sides_of


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("224", 224), ("64,96", (64, 96)), ("64x96", (64, 96)), ("64X96", (64, 96)),
        (" [64, 96] ", (64, 96)), ("(64 x 96)", (64, 96)), ("64,64", 64), ("64x64", 64),
        ("-3", -3), ("0,96", (0, 96)),
    ],
)  # fmt: skip
def test_a_size_is_read_with_its_height_first(text, size):
    assert parse_size(text) == size
    assert type(parse_size(text)) is type(size)


@pytest.mark.parametrize(
    "text", ["", "big", "1,2,3", "64 96", "64.5", "64,", ",64", "64xx96", "1e3"]
)
def test_what_is_no_size_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^one number for a square, or height,width") as told:
        parse_size(text)
    assert "\n" not in str(told.value)


def test_sides_and_words_have_the_height_first():
    assert (sides_of(224), sides_of((64, 96))) == ((224, 224), (64, 96))
    assert (show_size(224), show_size((64, 96))) == ("224", "64 x 96")


@pytest.mark.parametrize(
    ("value", "size"),
    [([64, 64], 64), ((64, 64), 64), ([64, 96], (64, 96)), (224, 224), ([1, 2, 3], [1, 2, 3])],
)
def test_two_equal_sides_are_one_number(value, size):
    assert even_size(value) == size
    assert type(even_size(value)) is type(size)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (32, 32), ([48, 96], (48, 96)), ((64, 64), 64), (None, None), ("32", None), (0, None),
        ([3, 64, 64], None), ([64, -1], None), (True, None), (32.0, None),
    ],
)  # fmt: skip
def test_what_others_state_is_a_size_or_none(value, size):
    assert as_size(value) == size
