from edge_convnext.cli.views.flips import flip_lines
from edge_convnext.report.gate.explain import ClassFlips, Explanation, Flip


def flip(now="bee", before="ant", label="ant", sha256="ab" * 32):
    return Flip(sha256, label, before, now, 1.234)


def test_without_a_flip_one_line_says_against_what():
    assert [*flip_lines(Explanation("fp32", (), ()))] == ["\nNo image flipped against fp32."]


def test_classes_and_images_are_told_with_what_became_of_them():
    flips = (flip(), flip("ant", "bee"), flip("cat", "bee"))
    classes = (ClassFlips("ant\x1b", 8, 2, 1),)
    assert [*flip_lines(Explanation("the baseline", classes, flips))] == [
        "\n3 images flipped against the baseline; by class, worst first:",
        r"  ant\x1b: +12.50 pp drop, 2 lost, 1 won of 8",
        "  abababababababab lost: 'ant' was 'ant', is 'bee' by 1.23",
        "  abababababababab won: 'ant' was 'bee', is 'ant' by 1.23",
        "  abababababababab other: 'ant' was 'bee', is 'cat' by 1.23",
    ]


def test_of_many_images_the_first_20_are_shown():
    lines = [*flip_lines(Explanation("fp32", (), (flip(),) * 20))]
    assert len(lines) == 21
    lines = [*flip_lines(Explanation("fp32", (), (flip(),) * 23))]
    assert len(lines) == 22
    assert lines[-1] == "  and 3 more; --json lists all"


def test_names_from_files_are_obeyed_by_no_terminal():
    (_, line) = flip_lines(Explanation("fp32", (), (flip("b\x07", "a\x1b", "l\x1b", "\x1b" * 64),)))
    assert line.isprintable()
