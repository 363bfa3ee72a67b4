from support.example_report import example_fields
from support.gate_builds import make_build

from edge_convnext.report.compare.compare import compare
from edge_convnext.report.compare.sections import Section, comparison_sections


def test_the_counts_come_first_then_what_is_compared(tmp_path):
    make_build(tmp_path / "a", 200)
    sections = comparison_sections(compare(tmp_path / "a", tmp_path / "a"))
    assert [one.title for one in sections] == [
        "Better, same, worse", "Compared", "What was compared", "What changed", "Classes",
        "Times of the candidates", "Stages",
    ]  # fmt: skip
    assert sections[0].sentences == ("No difference shown.",)
    assert sections[0].rows == (("measures", "0", "6", "0", "0"), ("classes", "0", "4", "0", "0"))
    assert sections[3].sentences[0] == "Nothing that was recorded differs."
    assert [one.folded for one in sections] == [False] * 4 + [True] * 3


def test_of_several_each_pair_has_its_sections(tmp_path):
    make_build(tmp_path / "a", 200)
    titles = [one.title for one in comparison_sections(compare(*[tmp_path / "a"] * 3))]
    assert titles[:3] == [
        "Better, same, worse, B against A", "Better, same, worse, C against A", "Compared",
    ]  # fmt: skip


def test_times_of_different_machines_have_no_ratio(tmp_path):
    environment = {**example_fields()["environment"], "fingerprint": "other"}
    make_build(tmp_path / "a", 200)
    make_build(tmp_path / "b", 200, environment=environment)
    sections = {
        one.title: one for one in comparison_sections(compare(tmp_path / "a", tmp_path / "b"))
    }
    assert "No ratios: the machines differ." in sections["Stages"].sentences[0]
    assert {row[3] for row in sections["Stages"].rows} == {"-"}
    assert "different machines" in sections["Times of the candidates"].sentences[0]


def test_a_long_table_is_cut_and_says_so():
    section = Section("x", (), ("a",), tuple((str(index),) for index in range(30)))
    assert len(section.short().rows) == 20
    assert section.short().sentences == ("10 more rows are in the files of --html and --json.",)
    assert section.short().short().rows == section.short().rows
