"""A reduced run of `benchmarks/fuzz.py`, and the inputs that once broke a parser."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import strategies as st
from support.example_report import example_report

from benchmarks import fuzz_boards
from benchmarks.fuzz import fuzz, make_targets
from edge_convnext.core.errors import (
    ArtifactError,
    DataError,
    EdgeConvNextError,
    LoadError,
    RecipeError,
)
from edge_convnext.data.csv_sources import list_csv
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.dialects import translate
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.recipe_file import load_recipe
from edge_convnext.report.contract import Report

EXAMPLE = json.loads(example_report().to_json())
SMALL = Architecture("small", 2, (1, 1, 1, 1), (4, 6, 8, 10), 3)


@pytest.mark.parametrize("name", make_targets(Path(), EXAMPLE, images=False))
@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_whatever_comes_in_one_line_comes_out(tmp_path, name):
    strategy, parse = make_targets(tmp_path, EXAMPLE)[name]
    tally = fuzz(strategy, parse, inputs=60)
    assert tally.inputs >= 60
    assert tally.refused > 0
    assert not tally.crashes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: " + "[" * 3000, "not YAML"),
        ("seed: " + "9" * 5000, "not YAML"),
        ("seed: " + "9" * 30, "'seed' is"),
        ("name: &a [x]\nabout: *a", "line 2: it has aliases"),
        ("seed: !!python/object/apply:os.system ['touch evil']", "not YAML"),
        ("name: " + "x" * (1 << 20), "over 1048576 bytes"),
        ("model: [" + "x, " * 10_000 + "x]", "'model' is"),
        ("model: '" + "[" * 3000 + "'", "unknown model '"),
    ],
)
def test_recipes_that_are_bombs(tmp_path, text, reason):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=reason) as caught:
        load_recipe(str(path))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("path,label\n" + "a" * 5000 + ".png,x\n", "too long"),
        ("path,label," + "b" * 5000 + "\n", "is not one of"),
        ("path,label\n../../../../../../etc/passwd\x00.png,x\n", "not"),
    ],
)
def test_csvs_with_names_that_no_file_can_have(tmp_path, rows, reason):
    path = tmp_path / "set.csv"
    path.write_text(rows)
    with pytest.raises(DataError, match=reason) as caught:
        list_csv(path)
    assert len(str(caught.value)) < 600


def test_a_csv_is_not_read_beyond_its_first_fault(tmp_path, make_images):
    """Ten million lines cost no memory: what is kept are images that exist, each once."""
    images = make_images({"a": 1})
    path = images / "set.csv"
    path.write_text("path,label\n" + "a/0.png,a\n" * 300_000)
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(DataError, match="line 3: names the same image as"):
        list_csv(path)
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_a_message_is_one_printable_line_whatever_it_quotes(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text('preprocess: {"\\n\\e[2J": 1}')
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert str(caught.value).isprintable()
    text = str(EdgeConvNextError("bad: " + "x" * 50_000 + "; build again"))
    assert len(text) < 2000
    assert text.endswith("; build again")
    assert str(EdgeConvNextError("a\r\nb\tc\u2028d: \x1b[2J\u202ee")) == (
        r"a  b c d: \x1b[2J\u202ee"
    )


def test_the_fuzzer_sees_a_message_as_it_was_raised():
    """`str` of an error is one line of bounded length whatever it quotes."""

    def refuse(text):
        raise EdgeConvNextError(text)

    tally = fuzz(st.sampled_from(["one line", "a\nb", "x" * 3000]), refuse, inputs=20)
    assert {what.split(":")[0] for what in tally.crashes} == {
        "message of more than one line",
        "message of 3000 characters",
    }


@pytest.mark.parametrize("version", ["", "x", "²", "9" * 5000])
def test_an_engine_of_a_version_that_is_none_is_refused(tmp_path, version):
    facts = {**fuzz_boards.FACTS, "tensorrt": version, "model": None}
    with pytest.raises(ArtifactError, match="was built by"):
        fuzz_boards.read_engine(tmp_path, json.dumps(facts).encode())


def test_a_bundle_whose_member_lies_before_the_file_is_damaged(tmp_path):
    """A cut shifts what the directory says of places: `zipfile` then seeks below zero."""
    members = fuzz_boards.make_members(b"graph", EXAMPLE)
    manifest = fuzz_boards.make_bundle_manifest(members, EXAMPLE["model"])
    content = fuzz_boards.make_bundle(json.dumps(manifest).encode(), members)
    with pytest.raises(ArtifactError, match="damaged"):
        fuzz_boards.read_bundle(tmp_path, content[40:])


def test_a_state_dict_of_a_billion_blocks_is_refused_before_it_is_built():
    state = random_state(SMALL, 0)
    state["stages.3.blocks.999999.grn.gamma"] = torch.zeros(40)
    with pytest.raises(LoadError, match=r"1000003 blocks by the largest number, but \d+ tensors"):
        translate(state, "x")
    state = random_state(SMALL, 0)
    state["stages.3.blocks." + "9" * 5000 + ".grn.gamma"] = torch.zeros(40)
    with pytest.raises(LoadError):
        translate(state, "x")


def test_empty_tensors_are_refused():
    state = {**random_state(SMALL, 0), "stem.conv.weight": torch.zeros(0, 3, 4, 4)}
    with pytest.raises(LoadError, match=r"'stem.conv.weight' is empty, \[0, 3, 4, 4\]"):
        translate(state, "x")


def test_a_report_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match="not JSON"):
        Report.read(path)
