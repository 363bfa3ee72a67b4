"""A fallback is looked for on images that don't judge it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.builds import write_checkpoint, write_images

from edge_convnext.build import evaluating
from edge_convnext.build.evaluating import Evaluator
from edge_convnext.build.search_images import SearchImages, choose_search_images
from edge_convnext.data import ImageSet, Sample
from edge_convnext.measure.accuracy import Predictions, compare_predictions
from edge_convnext.measure.evaluation import Evaluation

CLASSES = ("ant", "bee", "cat", "dog")


def images(count, start=0, group=lambda number: None):
    """Images of four classes, ordered by class as a folder lists them."""
    return ImageSet(
        tuple(
            Sample(Path(f"{n}.png"), f"{start + n:064x}", n * 4 // count, group(n))
            for n in range(count)
        ),
        CLASSES,
    )


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


def predictions(right):
    """Of two classes; class 0 is right everywhere."""
    logits = np.stack([np.ones(len(right)), np.where(right, 0.0, 2.0)], axis=1)
    hashes = tuple(f"{n:064x}" for n in range(len(right)))
    return Predictions(logits.astype(np.float32), np.zeros(len(right), np.int64), hashes)


def evaluation_of(options):
    reference = predictions(np.ones(200, bool))
    found = {name: predictions(right) for name, right in options.items()}
    compared = {name: compare_predictions(reference, one) for name, one in found.items()}
    return Evaluation(reference, found, compared, cached=False, seconds=1.0)


def test_an_evaluation_of_some_rows_is_compared_on_these():
    right = np.arange(200) >= 10  # wrong on the first ten
    whole = evaluation_of({"int8": right})
    part = whole.of(np.arange(5, 105))
    assert part.comparisons["int8"].n_images == 100
    assert part.comparisons["int8"].lost == 5
    assert part.options["int8"].sha256s == whole.options["int8"].sha256s[5:105]
    assert whole.of(None) is whole


def named(name):
    return SimpleNamespace(name=name)


@pytest.fixture
def evaluator(monkeypatch):
    """Evaluates 200 images; what each option gets right, the test states."""
    steps = SimpleNamespace(recipe=SimpleNamespace(evaluate=SimpleNamespace(fallback=True), seed=0))
    inputs = SimpleNamespace(evaluation=images(200), splits=None, calibration=None, weights=None)
    prepared = SimpleNamespace(steps=steps, inputs=inputs, graphs=None, samples=None)
    right = {}

    def evaluate(options, weights, images, steps, machine):
        return evaluation_of({option.name: right[option.name] for option in options})

    monkeypatch.setattr(evaluating, "evaluate_options", evaluate)
    made = Evaluator(prepared, "machine")
    made.right = right
    return made


def test_what_is_reported_of_a_fallback_is_of_images_the_search_never_saw(evaluator, monkeypatch):
    search = choose_search_images(images(200), None, (), 0)
    lucky = np.ones(200, bool)
    lucky[search.judges[:30]] = False  # good wherever the search looks
    evaluator.right |= {"full": np.zeros(200, bool), "found": lucky}
    seen = []

    def hold(steps, graphs, options, evaluation, look, samples):
        assert evaluation.comparisons["full"].n_images == 200
        seen.append(look([named("found")]).comparisons["found"])
        return [SimpleNamespace(options=(named("found"),), replaced=tuple(options))]

    monkeypatch.setattr(evaluating, "hold_budget", hold)
    evaluator.add([named("full")])
    further = evaluator.hold_budget([named("full")])
    assert [one.name for one in further] == ["found"]
    assert (seen[0].n_images, seen[0].top1_drop_pp) == (100, 0.0)
    judged = evaluator.found.comparisons["found"]
    assert (judged.n_images, judged.lost) == (100, 30)
    assert evaluator.found.comparisons["full"].n_images == 100
    assert len(evaluator.found.reference.labels) == 100
    evaluator.right["late"] = np.ones(200, bool)
    evaluator.add([named("late")])  # a float that the race brought up
    assert evaluator.found.comparisons["late"].n_images == 100
    assert isinstance(evaluator.searched, SearchImages)


def test_where_no_fallback_is_found_every_image_judges(evaluator, monkeypatch):
    missed = SimpleNamespace(options=(), replaced=())
    monkeypatch.setattr(evaluating, "hold_budget", lambda *_: [missed])
    evaluator.right["full"] = np.zeros(200, bool)
    evaluator.add([named("full")])
    assert evaluator.hold_budget([named("full")]) == []
    assert evaluator.found.comparisons["full"].n_images == 200
    assert (evaluator.fallbacks, evaluator.searched) == ([missed], None)


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
    assert note.endswith("half will judge: add twice as many.")
    assert len(read_evidence(tmp_path / "out").predictions) == 32
    replaced = [one for one in report.accuracy.candidates if one.top1_drop_pp > 5]
    assert report.benchmark.chosen not in {one.artifact for one in replaced}
