"""Which candidates go on: each is run where it shall run, and held to ONNX Runtime."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.races import candidate

from edge_convnext.build import sieve
from edge_convnext.build.runner import Runner
from edge_convnext.build.sieve import Sieve, check_in_runtime, find_error
from edge_convnext.core.artifacts import Parity
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import InferenceError
from edge_convnext.core.progress import untracked
from edge_convnext.core.step import Images, Step
from edge_convnext.graph.findings import Finding
from edge_convnext.measure.in_runtime import InRuntime
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages import export, quantize

ERROR = Finding("concat-int8", "error", "a/Conv", "OpenVINO computes something else", "uint8")
WARNING = replace(ERROR, severity="warning")
IMAGES = Images("of images", 32, lambda: [np.zeros((32, 3, 2, 2), np.float32)])
FLOAT = candidate("float", runtime="openvino", hint="f32")
INT8 = candidate("int8", precision="int8", runtime="openvino", hint="f32", placement="dense")
BF16 = replace(INT8, hint="bf16")


def step(one, stage):
    return Step(one.model, "done", 0.0, one.digest, stage=stage)


class Runtimes:
    """Decibels of each graph in each runtime, and what was loaded."""

    def __init__(self):
        self.noise_db = {"float": {}, "int8": {"onnxruntime": 23.0, "openvino": 23.0}}
        self.loaded, self.of_stages, self.fails = [], [], False

    def load(self, one, batch, threads):
        self.loaded.append((one.digest, one.runtime, one.hint, one.settings, batch))
        if self.fails and one.runtime == "openvino" and one.model.precision == "int8":
            raise InferenceError("no kernel")
        return SimpleNamespace(
            infer=lambda _: self.logits(one), describe=lambda: SimpleNamespace(name=one.runtime)
        )

    def logits_in(self, runtime, path, images):
        """What the stage that made a graph ran it for already."""
        self.of_stages.append((path.name, runtime))
        assert images is IMAGES
        return self.logits(candidate(path.name, runtime=runtime, hint="f32"))

    def logits(self, one):
        draw = np.random.default_rng(0)
        clean, noise = draw.standard_normal((2, 32, 4))
        decibels = self.noise_db[one.digest].get(f"{one.runtime} {one.hint}") or self.noise_db[
            one.digest
        ].get(one.runtime)
        if decibels is not None:
            noise *= np.sqrt((clean**2).sum() / (noise**2).sum() / 10 ** (decibels / 10))
            clean = clean + noise
        return clean.astype(np.float32)


@pytest.fixture
def runtimes(monkeypatch):
    made = Runtimes()
    monkeypatch.setattr(sieve, "load_candidate", made.load)
    monkeypatch.setattr(sieve, "lint", lambda path, target: made.findings)
    monkeypatch.setattr(Runner, "logits_in", lambda _, *asked: made.logits_in(*asked))
    made.findings = ()
    return made


@pytest.fixture
def runner(tmp_path):
    recipe = make_recipe({"benchmark": {"batches": [8, 2]}})
    return Runner(Cache(tmp_path), recipe, {}, untracked)


def check(runner, one, **named):
    return check_in_runtime(runner, one, step(FLOAT, export.STAGE), IMAGES, "machine", **named)


def test_what_is_as_near_to_the_float_as_in_onnx_runtime_is_right(runner, runtimes):
    found = check(runner, INT8)
    assert (found.wrong, found.finding) == (None, None)
    assert found.found.here.sqnr_db == pytest.approx(23.0, abs=0.1)
    # As it is timed for the verdict: at the smallest batch.
    assert runtimes.loaded == [("int8", "openvino", "f32", (), 2)]
    # ONNX Runtime has run both: the stages that made them asked for it.
    assert sorted(runtimes.of_stages) == [("float", "onnxruntime"), ("int8", "onnxruntime")]
    runtimes.loaded.clear()
    runtimes.of_stages.clear()
    assert check(runner, INT8).found == found.found
    assert (runtimes.loaded, runtimes.of_stages) == ([], [])  # the cache has the logits


def test_what_is_further_off_is_wrong_and_the_lint_says_where(runner, runtimes):
    runtimes.noise_db["int8"]["openvino"] = 4.1
    alone = check(runner, INT8)
    assert alone.wrong.startswith("OpenVINO computes something else: 4.1 dB to the float graph")
    runtimes.findings = (WARNING, ERROR)
    named = check(runner, INT8)
    assert named.wrong == f"{alone.wrong}: {ERROR}"
    assert named.finding is ERROR


def test_what_the_lint_knows_is_refused_whatever_these_images_show(runner, runtimes):
    runtimes.findings = (ERROR,)
    assert check(runner, INT8).wrong == str(ERROR)
    runtimes.findings = (WARNING,)
    assert check(runner, INT8).wrong is None


def test_a_float_is_run_there_too(runner, runtimes):
    assert check(runner, FLOAT).wrong is None
    runtimes.noise_db["float"]["openvino"] = 30.0
    wrong = check(runner, replace(FLOAT, settings=(("CPU_DENORMALS_OPTIMIZATION", "YES"),))).wrong
    assert "30.0 dB" in wrong
    assert "equal logits" in wrong


def test_in_bfloat16_it_is_held_to_the_float_in_bfloat16(runner, runtimes):
    runtimes.noise_db["float"]["openvino bf16"] = 40.0
    assert check(runner, BF16).wrong is None
    assert {one[:3] for one in runtimes.loaded} >= {
        ("int8", "openvino", "f32"), ("int8", "openvino", "bf16"), ("float", "openvino", "bf16"),
    }  # fmt: skip


def test_what_bfloat16_alone_breaks_is_wrong_in_bfloat16_alone(runner, runtimes):
    runtimes.noise_db["int8"]["openvino bf16"] = -20.0
    assert check(runner, INT8).wrong is None
    assert "something else in bfloat16" in check(runner, BF16).wrong


def test_what_float32_breaks_is_wrong_in_bfloat16_too(runner, runtimes):
    runtimes.noise_db["int8"] |= {"openvino": 4.1, "openvino bf16": 23.0}
    assert check(runner, BF16).wrong.startswith("OpenVINO computes something else: 4.1 dB")


def test_in_onnx_runtime_nothing_can_differ_and_nothing_is_run(runner, runtimes):
    there = replace(INT8, runtime="onnxruntime")
    assert check(runner, there) == sieve.Ruling(there, None)
    assert runtimes.loaded == []
    assert check(runner, there, measure=True).found.here.sqnr_db == pytest.approx(23.0, abs=0.1)
    runtimes.findings = (ERROR,)
    assert check(runner, there).wrong == str(ERROR)


def test_what_can_not_be_run_is_refused_and_the_build_goes_on(runner, runtimes):
    runtimes.fails = True
    found = check(runner, INT8)
    assert found.wrong == "OpenVINO can't run it: no kernel"
    assert found.found is None


def lineage(one, form, placement=None, source=None):
    steps = [step(one, export.STAGE)]
    if source is not None:
        steps = [step(source, export.STAGE), step(one, quantize.STAGE)]
    return SimpleNamespace(
        plan=SimpleNamespace(form=form, placement=placement),
        stands_for=None,
        final=steps[-1],
        before=lambda stage: steps[0],
    )


def test_a_sieve_keeps_the_right_ones_and_remembers_why_the_others_went(monkeypatch):
    asked = []

    def rule(runner, one, floating, images, machine, portable):
        asked.append((one.digest, floating.digest))
        assert portable is None
        wrong = "wrong" if one.digest == "int8" else None
        return sieve.Ruling(one, None, None, wrong)

    monkeypatch.setattr(sieve, "check_in_runtime", rule)
    other = replace(INT8, digest="other", model=replace(INT8.model, form="linear"))
    fallback = replace(other, digest="fallback")  # made of `other`, and in no lineage
    source, linear = candidate("source"), candidate("linear")
    graphs = SimpleNamespace(
        floats=(lineage(FLOAT, "raw"),),
        floats_in=lambda format: (),
        quantized=(
            lineage(INT8, "raw", "dense", source), lineage(other, "linear", "dense", linear),
        ),
    )  # fmt: skip
    runner = SimpleNamespace(track=untracked)
    keep = Sieve(SimpleNamespace(runner=runner, samples=IMAGES, graphs=graphs), "machine")
    assert keep([FLOAT, INT8, other]) == [FLOAT, other]
    assert keep([fallback]) == [fallback]
    assert asked == [
        ("float", "float"), ("int8", "source"), ("other", "linear"), ("fallback", "linear"),
    ]  # fmt: skip
    assert [(one.candidate, one.wrong) for one in keep.refused] == [(INT8, "wrong")]


FAR = InRuntime(Parity(32, 1.0, 47.0, 100.0), Parity(32, 0.1, None, 100.0))


@pytest.mark.parametrize(
    ("ruling", "paces"),
    [
        (sieve.Ruling(FLOAT, FAR, None, "wrong"), True),
        (sieve.Ruling(FLOAT, None, None, "can't run it"), False),
        (sieve.Ruling(FLOAT, FAR), False),
        (sieve.Ruling(INT8, FAR, None, "wrong"), False),
    ],
)
def test_a_float_that_runs_and_is_wrong_has_to_be_beaten(ruling, paces):
    keep = Sieve(SimpleNamespace(), "machine")
    keep.refused.append(ruling)
    assert ruling.sets_the_pace == paces
    assert keep.unfit_floats == ([FLOAT] if paces else [])


def test_the_first_error_of_the_runtime_is_found(monkeypatch):
    seen = []

    def lint(path, target):
        seen.append(target)
        return (WARNING, ERROR, replace(ERROR, node="b/Conv"))

    monkeypatch.setattr(sieve, "lint", lint)
    assert find_error(INT8) is ERROR
    assert seen == ["openvino"]


def test_what_litert_alone_loads_is_held_to_the_graph_that_it_was_written_from(runner, runtimes):
    lite = replace(
        INT8, digest="lite", runtime="litert", model=replace(INT8.model, path=Path("lite"))
    )
    runtimes.noise_db["lite"] = {"litert": 21.0}
    own = step(INT8, quantize.STAGE)
    source = step(FLOAT, export.STAGE)
    found = check_in_runtime(runner, lite, source, IMAGES, "machine", portable=own)
    assert found.wrong is None  # 23 dB in ONNX Runtime, less 3
    assert [one[:2] for one in runtimes.loaded] == [("lite", "litert")]
    assert {name for name, _ in runtimes.of_stages} == {"float", "int8"}
    worse = replace(lite, digest="worse")
    runtimes.noise_db["worse"] = {"litert": 19.0}
    found = check_in_runtime(runner, worse, source, IMAGES, "machine", portable=own)
    assert "LiteRT computes something else: 19.0 dB" in found.wrong
