from edge_convnext.cli.views.read import read_lines
from edge_convnext.core.origins import Fact, Origin


def lines(*facts, notes=()):
    return [*read_lines(facts, notes)]


def test_who_decided_is_told_by_the_detail_where_that_is_enough():
    size = Fact("image_size", 96, Origin("flag", "--image-size"))
    assert lines(size)[1] == "  image_size    96                           --image-size"
    size = Fact("image_size", 96, Origin("checkpoint", "args.size"))
    assert lines(size)[1].endswith("checkpoint (args.size)")
    assert lines(Fact("image_size", 224, Origin("default", "")))[1].endswith(" default")
    split = Fact("split", "by folder", Origin("split folders", "by folder"))
    assert lines(split)[1].endswith(" split folders")


def test_what_is_too_long_is_wrapped_in_its_column():
    _, *found = lines(Fact("classes", ("a" * 99,), Origin("flag", "--" + "x" * 99)))
    assert max(map(len, found)) == 80
    values, sources = (
        "".join(line[start:end].strip() for line in found) for start, end in ((16, 44), (45, 80))
    )
    assert values == f"1: {'a' * 99}"
    assert sources == f"--{'x' * 99}"
    assert all(line.startswith(" " * 16) for line in found[1:])


def test_notes_are_wrapped_and_indented():
    _, first, second = lines(notes=("word " * 20,))
    assert first.startswith("  - word")
    assert second.startswith("    word")
    assert max(map(len, (first, second))) <= 80
