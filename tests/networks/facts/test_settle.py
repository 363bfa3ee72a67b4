from dataclasses import replace

import pytest
from support.torch_exports import INFO

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.networks.facts.sayings import Said, Saying
from edge_convnext.networks.facts.settle import Source, of_info, settle


def source(kind, *notes, bgr=None, detail="x", **values):
    sayings = [Saying(name, value, detail) for name, value in values.items()]
    return Source(kind, Said(sayings, notes=list(notes), bgr=bgr))


def test_what_a_file_of_this_project_says_is_settled_as_it_is():
    found = settle([Source("checkpoint", of_info(INFO))])
    assert (found.classes, found.preprocess, found.licence) == (
        INFO.classes, INFO.preprocess, INFO.weights_licence,
    )  # fmt: skip
    nobody = settle([])
    assert (nobody.classes, nobody.preprocess, nobody.licence) == ((), Preprocess(), None)
    assert of_info(replace(INFO, classes=(), weights_licence=None)).sayings[-1].name == "std"


def test_the_strongest_source_counts_and_the_others_are_told():
    found = settle([
        source("checkpoint", "a note", image_size=96),
        source("beside the weights", "a note", image_size=128, bgr="cfg", detail="config.json: s"),
    ])  # fmt: skip
    assert found.preprocess.image_size == 96
    assert found.notes == (
        "a note",
        "image_size is 96 by checkpoint (x), and 128 by beside the weights (config.json: s); the "
        "former is used",
    )
    assert found.bgr == "cfg"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5004), False),
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.502), True),
    ],
)
def test_numbers_that_are_nearly_the_same_contradict_nothing(first, second, told):
    found = settle([source("checkpoint", mean=first), source("published", mean=second, detail="y")])
    assert bool(found.notes) == told


def test_class_names_in_another_order_are_told_so():
    found = settle([
        source("checkpoint", classes=("ant", "bee")),
        source("beside the weights", classes=("bee", "ant"), detail="names.txt"),
    ])  # fmt: skip
    assert found.classes == ("ant", "bee")
    assert "has the same class names in another order than checkpoint (x)" in found.notes[0]


def test_a_crop_belongs_to_its_resize():
    squashed = settle([source("checkpoint", resize="squash", crop_pct=0.9)])
    assert squashed.preprocess.crop_pct == 1.0
    assert "a crop of 0.9 is not made of squashed images" in squashed.notes[0]
    elsewhere = settle([
        source("checkpoint", resize="squash"),
        source("published", crop_pct=0.9, resize="squash", detail="y"),
    ])  # fmt: skip
    assert (elsewhere.preprocess.crop_pct, elsewhere.notes) == (1.0, ())
