"""A fallback is looked for on images that don't judge it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.builds import write_checkpoint, write_images
from support.evaluations import CLASSES, evaluation_of, images

from edge_convnext.build import evaluating
from edge_convnext.build.search_images import choose_search_images
from edge_convnext.data.images import ImageSet
from edge_convnext.measure.accuracy import compare_predictions


def test_half_of_every_class_is_looked_at_and_the_other_half_judges():
    evaluation = images(200)
    search = choose_search_images(evaluation, None, (), seed=0)
    assert search.images is evaluation
    assert sorted([*search.looks, *search.judges]) == list(range(200))
    for rows in (search.looks, search.judges):
        assert Counter(evaluation.samples[row].label for row in rows) == dict.fromkeys(range(4), 25)
    assert search.count == 100
    again = choose_search_images(evaluation, None, (), seed=0)
    assert np.array_equal(again.judges, search.judges)
    other = choose_search_images(evaluation, None, (), seed=1)
    assert not np.array_equal(other.judges, search.judges)


def test_images_of_one_group_and_equal_images_are_on_one_side():
    grouped = images(200, group=lambda number: f"leaf {number // 5}")
    twice = replace(grouped.samples[7], path=Path("copy.png"), group=None)
    evaluation = ImageSet((*grouped.samples, twice), CLASSES)
    search = choose_search_images(evaluation, None, (), seed=0)
    looked = {evaluation.samples[row].group for row in search.looks}
    judged = {evaluation.samples[row].group for row in search.judges}
    assert looked & judged <= {None}
    sides = [row in search.looks for row in (7, 200)]
    assert sides[0] == sides[1]


def test_a_small_evaluation_side_is_left_whole_and_training_images_are_looked_at():
    training = images(80, start=1000)
    seen = [sample.sha256 for sample in training.samples[:10]]
    search = choose_search_images(images(49), training, seen, seed=0)
    assert search.judges is None
    assert search.looks is None
    assert search.count == len(search.images) == 70
    assert search.what == "images of the training side"
    assert not set(seen) & search.images.hashes
    assert isinstance(choose_search_images(images(50), training, seen, 0).looks, np.ndarray)


def test_training_images_that_evaluate_too_are_not_looked_at():
    evaluation = images(40)
    training = ImageSet((*evaluation.samples[:20], *images(50, start=1000).samples), CLASSES)
    search = choose_search_images(evaluation, training, (), seed=0)
    assert search.count == 50
    assert not search.images.hashes & evaluation.hashes


def test_where_there_are_too_few_images_no_fallback_is_looked_for():
    why = choose_search_images(images(49), None, (), seed=0)
    assert why.startswith("the 49 evaluation images are too few to halve, and there are no 50")
    why = choose_search_images(images(49), images(49, start=1000), (), seed=0)
    assert isinstance(why, str)
    one_group = images(200, group=lambda number: "the same leaf")
    assert "groups of the 200 evaluation images" in choose_search_images(one_group, None, (), 0)


def test_an_evaluation_of_some_rows_is_compared_on_these():
    right = np.arange(200) >= 10  # wrong on the first ten
    whole = evaluation_of({"int8": right})
    part = whole.of(np.arange(5, 105))
    assert part.comparisons["int8"].n_images == 100
    assert part.comparisons["int8"].lost == 5
    assert part.options["int8"].sha256s == whole.options["int8"].sha256s[5:105]
    assert whole.of(None) is whole


@pytest.mark.slow
def test_a_build_with_a_fallback_reports_on_what_the_search_left(tmp_path, monkeypatch):
    """The full INT8 graph is wrong everywhere, and everything else is right."""
    pytest.importorskip("nncf", reason="the build extra is not installed")
    import edge_convnext
    from edge_convnext.core.cache import Cache
    from edge_convnext.networks.convnext import sizes as architecture
    from edge_convnext.networks.recipe_file import make_recipe
    from edge_convnext.report.gate.evidence import read_evidence

    monkeypatch.setitem(architecture.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
    counts = {f"train/{name}": 4 for name in CLASSES} | {f"val/{name}": 16 for name in CLASSES}
    write_images(tmp_path / "images", counts)
    write_checkpoint(tmp_path / "weights.pth", len(CLASSES))
    real = evaluating.evaluate_options

    def evaluate(options, *rest):
        found = real(options, *rest)
        right = replace(found.reference, logits=np.eye(4, dtype=np.float32)[found.reference.labels])
        wrong = replace(right, logits=-right.logits)
        told = {
            option.name: wrong
            if option.model.precision == "int8" and "float" not in option.model.path.name
            else right
            for option in options
        }
        compared = {name: compare_predictions(right, one) for name, one in told.items()}
        return replace(found, reference=right, options=told, comparisons=compared)

    monkeypatch.setattr(evaluating, "evaluate_options", evaluate)
    recipe = make_recipe(
        {
            "targets": ["cpu"],
            "runtime": "onnxruntime",
            "load": {"weights": str(tmp_path / "weights.pth")},
            "data": {"source": str(tmp_path / "images")},
            "preprocess": {"image_size": 32},
            "quantize": {"subset_size": 8},
            "simplify": {"enabled": False},
            "evaluate": {"max_drop_pp": 5.0, "allow_bad_model": True},  # it is untrained
            "benchmark": {"batches": [1], "rounds": 1, "min_round_ms": 1, "warmup": 1},
        }
    )
    report = edge_convnext.build(recipe, tmp_path / "out", cache=Cache(tmp_path / "cache"))
    (fallback,) = report.fallbacks
    assert fallback.kept_float
    assert (fallback.n_searched, fallback.n_judged) == (32, 32)
    assert fallback.searched_on == "half of the evaluation images"
    assert report.accuracy.n_images == 32
    assert report.data.n_val == 64
    assert fallback.top1_drop_pp == report.accuracy.top1_drop_pp
    (note,) = [note for note in report.notes if "returned to float" in note]
    assert "chosen on 32 images (half of the evaluation images)" in note
    assert "On the 32 evaluation images that were not looked at" in note
    assert note.endswith("will be used to judge: add twice as many.")
    assert len(read_evidence(tmp_path / "out").predictions) == 32
    replaced = [one for one in report.accuracy.candidates if one.top1_drop_pp > 5]
    assert report.benchmark.chosen not in {one.artifact for one in replaced}
