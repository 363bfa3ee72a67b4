from support.example_report import STAGES, example_report

from edge_convnext.report.html.chain import (
    chain_section,
    data_section,
    environment_section,
    recipe_section,
)
from edge_convnext.report.html.parts import Limits


def test_stages_are_bars_and_those_from_the_cache_are_told():
    (figure,) = chain_section(example_report(), Limits()).blocks
    names = [one.text for one in figure.picture.shapes if one.css == "label"]
    assert "quantize (cached)" in names
    assert "recover" not in names  # it did not run; the table says why
    assert len(figure.table.rows) == len(STAGES)
    assert "64.5 s in all" in figure.picture.title


def test_a_chain_without_times_says_so():
    bare = [{**stage, "seconds": None} for stage in STAGES]
    words, table = chain_section(example_report(stages=bare), Limits()).blocks
    assert words.text == "Times of the stages: not recorded."
    assert len(table.rows) == len(STAGES)


def test_data_and_settings_are_tables_or_not_recorded():
    words = [one.text for one in data_section(example_report(data=None), Limits()).blocks]
    assert words == ["Data: not recorded.", "What was read, and from where: not recorded."]
    settings = [
        {"name": "mean", "value": [0.5], "source": "checkpoint", "detail": "mean"},
        {"name": "resize", "value": "squash", "source": "default"},
    ]
    known, guessed, read = data_section(example_report(settings=settings), Limits()).blocks
    assert guessed.text == "Nothing states these, and a default is used: resize."
    assert known.rows[-1] == ("classes", "3")
    assert known.rows[0] == ("source", "potato_split.csv")
    assert read.rows[0] == ("mean", "0.5", "checkpoint (mean)")


def test_the_machine_is_listed():
    (table,) = environment_section(example_report(), Limits()).blocks
    assert ("torch", "2.13.0") in table.rows


def test_the_recipe_is_text_and_cut_where_it_is_endless():
    recipe, files = recipe_section(example_report(), Limits()).blocks
    assert recipe.code
    assert "precision: int8" in recipe.lines
    assert len(files.rows) == 3
    cut, _ = recipe_section(example_report(), Limits(lines=2)).blocks
    assert cut.lines[-1] == "..."
    assert len(cut.lines) == 3
