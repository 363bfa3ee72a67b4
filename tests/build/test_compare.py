"""What an evaluation asks of the cache and of the runtimes, and the order of what comes back."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edge_convnext.build import compare as measure
from edge_convnext.build.compare import evaluate_options
from edge_convnext.core.artifacts import ModelInfo, OnnxModel, Preprocess, Weights
from edge_convnext.core.errors import InferenceError
from edge_convnext.core.step import Step
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.measure import candidates
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.evaluation import Evaluation
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.recipe_file import make_recipe

PREPROCESS = Preprocess(image_size=4, resize="squash", mean=(0, 0, 0), std=(1, 1, 1))
INFO = ModelInfo("convnextv2_atto", 2, 3, ("a", "b"), PREPROCESS, "x", "0" * 64, None)
TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 8, 8, 8), 2)
WEIGHTS = Step(Weights(Path("w.safetensors"), TINY, INFO), "done", 0.0, "digest of weights")
RECIPE = make_recipe(
    {"model": "convnextv2_atto", "evaluate": {"batch": 3}, "benchmark": {"threads": 2}}
)


def option(name="conv.fp32", precision="fp32", hint="f32", settings=(), runtime="openvino"):
    model = OnnxModel(Path(f"{name}.onnx"), precision, "conv", "pointwise")
    graph = Step(model, "done", 0.0, f"digest of {name}")
    return Candidate.of(graph, runtime, hint, may_ship=True, settings=settings)


FLOAT = option()
INT8 = option("conv.int8", "int8", settings=(("A", "1"), ("B", "2")), runtime="onnxruntime")


def grey_images(folder, count):
    """Each of one level of grey, which its logits will tell."""
    samples = []
    for index in range(count):
        path = folder / f"{index}.png"
        Image.new("RGB", (6, 5), (index, index, index)).save(path)
        samples.append(Sample(path, sha256=f"hash {index}", label=index % 2))
    return ImageSet(tuple(samples), ("a", "b"))


class Grey:
    """A runtime whose logits tell the level of grey of each image."""

    def __init__(self, sign, asked):
        self.sign, self.asked = sign, asked

    def infer(self, images):
        self.asked.append(images.shape)
        level = np.rint(images.mean(axis=(1, 2, 3)) * 255)
        return np.stack([level, self.sign * (level % 2 * 2 - 1) * 1000], axis=1).astype(np.float32)


class Fake:
    """Stands in for the cached stages: it holds some logits, and asks for the others at once."""

    def __init__(self, held=(), status="done"):
        self.recipe, self.held, self.calls, self.shown = RECIPE, dict(held), [], []
        self.status = status

    def track(self, items, what, total=None):
        self.shown.append((what, total))
        return items

    def logits(self, runs, images, preprocess, machine, infer):
        self.calls.append((runs, images, preprocess, machine))
        fresh = infer([name for name in runs if name not in self.held])
        return {
            name: Step(self.held.get(name, fresh.get(name)), self.status, 1.5, name)
            for name in runs
        }


@pytest.fixture
def asked(monkeypatch):
    """Shapes by name of what was loaded."""
    seen = {}

    def load(name, sign):
        seen[name] = []
        return Grey(sign, seen[name])

    def load_reference(weights, threads):
        assert (weights, threads) == (WEIGHTS.value, 2)
        return load("torch", 1)

    def load_candidate(one, batch, threads):
        assert (batch, threads) == (3, 2)
        return load(one.name, -1 if one is INT8 else 1)

    monkeypatch.setattr(measure, "load_reference", load_reference)
    monkeypatch.setattr(measure, "load_candidate", load_candidate)
    return seen


def test_logits_stand_in_the_order_of_the_images_whatever_the_batches(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(measure, "_TURN", 25)
    images, steps = grey_images(tmp_path, 53), Fake()
    found = evaluate_options([FLOAT, INT8], WEIGHTS, images, steps, "this machine")
    for predictions in (found.reference, found.options[FLOAT.name], found.options[INT8.name]):
        assert predictions.logits.dtype == np.float32
        np.testing.assert_array_equal(predictions.logits[:, 0], np.arange(53))
        np.testing.assert_array_equal(predictions.labels, np.arange(53) % 2)
        assert predictions.labels.dtype == np.int64
        assert predictions.sha256s == tuple(f"hash {index}" for index in range(53))
    assert found.options.keys() == found.comparisons.keys() == {FLOAT.name, INT8.name}
    # Turns of whole batches of three, of at most 25 images: 24, 24 and the 5 left.
    turns = [(24, 3, 4, 4), (24, 3, 4, 4), (5, 3, 4, 4)]
    assert asked == {"torch": turns, FLOAT.name: turns, INT8.name: turns}
    assert steps.shown == [("evaluating the float model and 2 candidates on 53 images", 3)]


def test_a_comparison_is_of_the_reference_with_the_option(tmp_path, asked):
    found = evaluate_options([FLOAT, INT8], WEIGHTS, grey_images(tmp_path, 4), Fake(), "m")
    assert found.comparisons[FLOAT.name].top1_drop_pp == 0.0
    reference, int8 = found.reference, found.options[INT8.name]
    drop = (reference.logits.argmax(1) == reference.labels).mean() - (
        int8.logits.argmax(1) == int8.labels
    ).mean()
    assert found.comparisons[INT8.name].top1_drop_pp == pytest.approx(100 * drop)
    assert found.comparisons[INT8.name].top1_drop_pp > 0


def test_everything_that_decides_the_logits_is_part_of_what_is_asked(tmp_path, asked):
    images, steps = grey_images(tmp_path, 2), Fake()
    evaluate_options([FLOAT, INT8], WEIGHTS, images, steps, "this machine")
    ((runs, digest, preprocess, machine),) = steps.calls
    assert runs == {
        "torch": {"artefact": "digest of weights", "runtime": "torch"},
        FLOAT.name: {"artefact": "digest of conv.fp32", "runtime": "openvino", "hint": "f32"},
        INT8.name: {
            "artefact": "digest of conv.int8", "runtime": "onnxruntime", "hint": "f32",
            "A": "1", "B": "2",
        },
    }  # fmt: skip
    assert (digest, machine) == (images.content_digest, "this machine")
    assert preprocess["image_size"] == 4
    assert preprocess["resize"] == "squash"


@pytest.mark.parametrize(("status", "cached"), [("cached", True), ("done", False)])
def test_an_evaluation_adds_up_the_time_and_says_whether_it_ran(tmp_path, asked, status, cached):
    steps = Fake(status=status)
    found = evaluate_options([FLOAT, INT8], WEIGHTS, grey_images(tmp_path, 2), steps, "m")
    assert (found.cached, found.seconds) == (cached, 4.5)


def test_only_what_the_cache_lacks_is_run(tmp_path, asked):
    held = {"torch": np.zeros((2, 2), np.float32), FLOAT.name: np.zeros((2, 2), np.float32)}
    evaluate_options([FLOAT, INT8], WEIGHTS, grey_images(tmp_path, 2), Fake(held), "m")
    assert asked.keys() == {INT8.name}


def broken(*_):
    return SimpleNamespace(infer=lambda images: np.full((len(images), 2), np.nan, np.float32))


def test_logits_that_are_not_finite_are_told_with_the_option(tmp_path, asked, monkeypatch):
    images = grey_images(tmp_path, 2)
    monkeypatch.setattr(measure, "load_candidate", broken)
    with pytest.raises(InferenceError, match=r"2 of 2 images got .* logits in conv.fp32.onnx op"):
        evaluate_options([FLOAT], WEIGHTS, images, Fake(), "m")
    monkeypatch.setattr(measure, "load_reference", broken)
    with pytest.raises(InferenceError, match=r"2 of 2 images got .* logits in torch"):
        evaluate_options([FLOAT], WEIGHTS, images, Fake(), "m")


def test_an_option_is_loaded_with_its_hint_settings_threads_and_batch(tmp_path, monkeypatch):
    calls = []

    def load(*arguments):
        calls.append(arguments)
        return Grey(1, [])

    monkeypatch.setattr(candidates, "load_runtime", load)
    held = Fake({"torch": np.zeros((2, 2), np.float32)})
    evaluate_options([INT8], WEIGHTS, grey_images(tmp_path, 2), held, "m")
    ((runtime, path, options),) = calls
    assert (runtime, path) == ("onnxruntime", Path("conv.int8.onnx"))
    assert (options.threads, options.batch) == (2, 3)
    assert (options.precision_hint, options.settings) == ("f32", (("A", "1"), ("B", "2")))


class Side:
    """A runtime that waits until as many others run as it is told."""

    def __init__(self, barrier, threads, seen):
        self.barrier, self.threads, self.seen = barrier, threads, seen

    def infer(self, images):
        self.seen.append(self.threads)
        self.barrier.wait(20)
        return np.zeros((len(images), 2), np.float32)


@pytest.mark.parametrize("cores", [2, 5])
def test_two_candidates_run_at_once_on_half_of_the_cores_each(tmp_path, monkeypatch, cores):
    seen, barrier = [], threading.Barrier(2)
    monkeypatch.setattr(measure, "usable_cores", lambda: cores)
    monkeypatch.setattr(measure, "load_candidate", lambda *_: Side(barrier, _[2], seen))
    monkeypatch.setattr(measure, "_TURN", 3)
    steps = Fake({"torch": np.zeros((9, 2), np.float32)})
    steps.recipe = make_recipe({"model": "convnextv2_atto", "evaluate": {"batch": 3}})
    evaluate_options([FLOAT, INT8], WEIGHTS, grey_images(tmp_path, 9), steps, "m")
    assert seen == [cores // 2] * 6


@pytest.mark.parametrize(
    ("options", "threads", "cores", "lanes"),
    [
        ([FLOAT, INT8], None, 4, 2),
        ([FLOAT, INT8], 2, 4, 1),  # as many threads as the user says
        ([FLOAT, INT8], None, 1, 1),
        ([FLOAT], None, 4, 1),
        ([], None, 4, 1),
        (
            [FLOAT, replace(INT8, runtime="tensorrt_rtx")],
            None,
            4,
            1,
        ),  # a GPU takes one after the other
    ],
)
def test_where_two_run_at_once(options, threads, cores, lanes, monkeypatch):
    monkeypatch.setattr(measure, "usable_cores", lambda: cores)
    assert measure._count_lanes(options, threads) == lanes


def test_torch_has_the_cores_for_itself(tmp_path, monkeypatch):
    running, beside = [], []

    class Noted(Grey):
        def infer(self, images):
            beside.append(tuple(running))
            running.append(self.sign)
            found = super().infer(images)
            time.sleep(0.02)
            running.remove(self.sign)
            return found

    monkeypatch.setattr(measure, "usable_cores", lambda: 2)
    monkeypatch.setattr(measure, "load_reference", lambda *_: Noted(1, []))
    monkeypatch.setattr(measure, "load_candidate", lambda *_: Noted(-1, []))
    monkeypatch.setattr(measure, "_TURN", 3)
    steps = Fake()
    steps.recipe = make_recipe({"model": "convnextv2_atto", "evaluate": {"batch": 3}})
    evaluate_options([FLOAT, INT8], WEIGHTS, grey_images(tmp_path, 6), steps, "m")
    assert beside[0::3] == [(), ()]
    assert all(1 not in others for others in beside)


def test_the_reference_is_the_unfolded_network_in_torch(tmp_path, monkeypatch):
    from edge_convnext.networks.convnext.family import FAMILY
    from edge_convnext.runtimes import pytorch

    made = []

    def runtime(module, threads):
        made.append((module, threads))
        return Grey(1, [])

    monkeypatch.setattr(type(FAMILY), "build", lambda _, weights, form: (weights, form))
    monkeypatch.setattr(pytorch, "TorchRuntime", runtime)
    evaluate_options([], WEIGHTS, grey_images(tmp_path, 2), Fake(), "m")
    assert made == [((WEIGHTS.value, "raw"), 2)]


def evaluation(cached, seconds):
    return Evaluation("reference", "options", "comparisons", cached, seconds)


@pytest.mark.parametrize("later", [True, False])
@pytest.mark.parametrize("earlier", [True, False])
def test_two_evaluations_join_their_times(later, earlier):
    joined = evaluation(later, 2.0).joined(evaluation(earlier, 3.5))
    assert joined == evaluation(later and earlier, 5.5)


def test_an_evaluation_of_some_images_is_of_those_alone(tmp_path, asked):
    found = evaluate_options([FLOAT, INT8], WEIGHTS, grey_images(tmp_path, 6), Fake(), "m")
    assert found.of(None) is found
    rows = np.array([4, 1])
    part = found.of(rows)
    for whole, some in (
        (found.reference, part.reference), (found.options[INT8.name], part.options[INT8.name]),
    ):  # fmt: skip
        np.testing.assert_array_equal(some.logits, whole.logits[rows])
        np.testing.assert_array_equal(some.labels, [0, 1])
        assert some.sha256s == ("hash 4", "hash 1")
    assert part.options.keys() == part.comparisons.keys() == {FLOAT.name, INT8.name}
    assert part.comparisons[INT8.name].n_images == 2
    assert part.comparisons[INT8.name].top1_drop_pp == found.comparisons[INT8.name].top1_drop_pp
    assert (part.cached, part.seconds) == (found.cached, found.seconds)
