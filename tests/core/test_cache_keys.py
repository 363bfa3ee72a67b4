"""A field of a recipe moves the keys of the stages that it decides, and of no others.

The stages of a build are asked for here in their order over a cache that makes nothing: it takes
down the keys. The digest of what a stage makes is its own key, so that all that is made of it has
another key too. Every field of every section is given other values, which hypothesis draws.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from edge_convnext.build import inputs, reading
from edge_convnext.build import runner as steps
from edge_convnext.build.budget import keep_float_step, sensitivity_step
from edge_convnext.build.candidates import list_options
from edge_convnext.build.cpu_pixels import take_pixels
from edge_convnext.build.engines import engine_step
from edge_convnext.build.float_chain import export_step, fold_step
from edge_convnext.build.gpu_chain import finish_step, place_step
from edge_convnext.build.graphs import Graphs, add_form, add_plan, for_batch
from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import ModelInfo, Preprocess, Weights
from edge_convnext.core.cache_entries import Entry
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.progress import untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.section import Section
from edge_convnext.core.step import Images
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.splits import Splits
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.plans import float_plan, plan_for, plan_for_gpu
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.runtimes.lint import lint_targets
from edge_convnext.stages import load as load_module
from edge_convnext.stages import quantize

CPU = ("onnxruntime", "openvino")
PARITY = {"n_images": 1, "max_abs_err": 0.0, "sqnr_db": None, "agreement_pct": 100.0}
RESULT = {
    "parity": PARITY, "quantized_ops": 1, "ranking": [], "facts": [], "notes": [],
    "lint": {name: {"error": None, "warnings": {}} for name in lint_targets()},
    "recovery": {
        "model": None, "before": PARITY, "after": PARITY, "kept": True, "steps": 1, "n_training": 1,
    },
    "engine": {
        "precision": "int8", "builder": "x", "compute_capabilities": (), "kernels": 1,
        "int8_kernels": 1, "activation_bytes": 1, "weight_bytes": 1, "build_seconds": 1.0,
        "path": "x",
    },
    "seconds": 1.0,
}  # fmt: skip
TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 8, 8, 8), 1)
INFO = ModelInfo("convnextv2_atto", 1, 3, ("a",), Preprocess(), "x", "0" * 64, None)
IMAGES = ImageSet((Sample(Path("x"), "0" * 64, 0),), ("a",))

BASE = {
    "model": "convnextv2_atto",
    "preprocess": {"resize": "shortest", "interpolation": "bicubic"},
    "recover": {"enabled": True},
    "export": {"input": "uint8"},
    "plans": {
        "onnxruntime": {
            "form": "nhwc", "placement": "inner", "activation_type": "uint8",
            "format": "onnxruntime", "gelu": "tanh",
        },
        "openvino": {"form": "conv", "placement": "inner"},
    },
}  # fmt: skip


class Keys:
    """A cache that makes nothing."""

    def __init__(self, asked: dict[str, set[str]], prefix: str = "") -> None:
        self.asked, self.prefix = asked, prefix

    def run(self, stage: str, key: str, make: object) -> Entry:
        self.asked.setdefault(self.prefix + stage, set()).add(key)
        return Entry(Path("cache") / stage / key, key, RESULT, Digests(key), 0.0, cached=True)

    def holds(self, stage: str, key: str) -> bool:
        return True

    def unfinished(self, key: str) -> Path:
        return Path(key)


class Digests(dict):
    """Of whatever file, the key."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def __missing__(self, name: str) -> str:
        return self.key


def keys_of(recipe: Recipe, seen: str = "seen") -> dict[str, set[str]]:
    """Keys by stage of all that a build may ask for; `seen` stands for the images' content."""
    cache = Keys({})
    one, other = (
        Runner(each, recipe, {"edge-convnext": "1"}, untracked)
        for each in (cache, Keys(cache.asked, "gpu "))
    )
    weights = load(recipe, cache)
    samples, calibration, training = (Images(f"{seen} {n}", 1, list) for n in range(3))
    given_inputs = inputs.Inputs(weights, None, None, None, True, False, False, 0)
    graphs = Graphs()
    if recipe.fold.enabled:
        graphs.folded = fold_step(one, weights, samples)
    plans = dict.fromkeys(plan_for(recipe, runtime) for runtime in CPU)
    for form in dict.fromkeys(["raw", *(plan.form for plan in plans)]):
        add_form(one, given_inputs, graphs, form, "fp32", samples)
    for plan in plans if recipe.precision == "int8" else ():
        tuned = training if recipe.recover.enabled else None
        add_plan(one, graphs, plan, [], calibration, samples, tuned)
        lineage = graphs.lineages[plan]
        quantized, before = lineage.at(quantize.STAGE), lineage.before(quantize.STAGE)
        sensitivity_step(one, quantized, before, samples)
        keep_float_step(one, quantized, before, ["a"], samples)
    graphs.lineages |= take_pixels(one, (*graphs.floats, *graphs.quantized), samples)
    source = graphs.folded or weights
    for batch in (1, 8):
        for plan in (
            plan_for_gpu(recipe, "int8", batch),
            float_plan("conv", "fp16", batch, "typed"),
        ):
            gpu = for_batch(other, batch)
            made = exported = export_step(gpu, source, plan.form, "fp32", samples, weights)
            if plan.placement:
                made = place_step(gpu, exported, plan, calibration, samples)
            written = finish_step(gpu, made, plan, exported, samples, ["rtx"])
            engine_step(gpu, plan, written)
    runs = {
        option.name: {
            "artefact": option.digest, "runtime": option.runtime, "hint": option.hint,
            **dict(option.settings),
        }
        for option in list_options(recipe, graphs, CPU, bf16=True)
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps.np, "load", lambda *_, **__: None)
        one.logits(runs, seen, {}, "machine", lambda names: {})
    return cache.asked


def load(recipe: Recipe, cache: Keys) -> Any:
    """Train or load as a build does; what is loaded is known by its path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "open_weights", lambda path: Weights(path, TINY, INFO))
        patch.setattr(load_module, "weights_identity", lambda config, *_: config.weights)
        if recipe.load.weights is not None:
            return reading.load_checkpoint(recipe, recipe.load.weights, cache, {})
        return reading.train_demo(recipe, Splits(IMAGES, IMAGES, ""), cache, {}, untracked)


# Who reads what a stage makes.
READERS = {
    "train": {"load"},
    "load": {"fold", "export", "gpu export"},
    "fold": {"export", "gpu export"},
    "export": {"simplify"},
    "simplify": {"approximate", "equalize", "pixels", "evaluate"},
    "approximate": {"equalize"},
    "equalize": {"quantize", "recover", "sensitivity", "fallback", "lower"},
    "quantize": {"recover", "sensitivity", "fallback"},
    "recover": {"lower", "pixels", "evaluate"},
    "lower": {"pixels", "evaluate"},
    "pixels": {"evaluate"},
    "gpu export": {"gpu place", "gpu finish"},
    "gpu place": {"gpu finish"},
    "gpu finish": {"gpu engine"},
}
LEAVES = {"evaluate", "sensitivity", "fallback", "gpu engine"}


def with_readers(stages: set[str]) -> set[str]:
    found = set(stages)
    for stage in stages:
        found |= with_readers(READERS.get(stage, set()))
    return found


EXPORTS = {"export", "gpu export"}
PIXELS = {"train", "load", "fold", *EXPORTS}  # the first that carry the preprocessing
QUANTIZED = {"equalize", "quantize"}
TRAINED = [
    "image_size", "epochs", "batch", "lr", "weight_decay", "warmup_epochs", "label_smoothing",
    "drop_path", "ema_decay", "hflip", "vflip", "min_crop_area", "rotate_deg", "color_jitter",
    "bfloat16",
]  # fmt: skip
# The first stages that move, by field; those that read them follow. Fields that are not named
# decide no bytes: names, limits of time, the race, and what enters keys as the images it chose.
DECIDES = {
    "model": {"train", "load"},
    "seed": {"train", "recover"},
    "precision": {"approximate", "equalize"},
    "load.weights": {"train", "load"},
    "load.num_classes": {"load"},
    "load.in_channels": {"load"},
    **{f"preprocess.{name}": PIXELS for name in ("image_size", "resize", "crop_pct")},
    **{f"preprocess.{name}": PIXELS for name in ("interpolation", "mean", "std")},
    **{f"train.{name}": {"train"} for name in TRAINED},
    "fold.enabled": {"fold", *EXPORTS},
    "export.opset": {"export"},
    "export.batch": {"export"},
    "export.form": EXPORTS,
    "export.gelu": {"approximate"},
    "export.input": {"pixels"},
    "simplify.enabled": {"simplify"},
    "equalize.enabled": {"equalize"},
    "equalize.alpha": {"equalize"},
    "quantize.placement": {"quantize", "gpu place"},
    "quantize.activation_type": QUANTIZED,
    "quantize.ignored_names": {"quantize", "gpu place"},
    "quantize.ignored_patterns": {"quantize", "gpu place"},
    "quantize.ignored_types": {"quantize", "gpu place"},
    **{
        f"quantize.{name}": {"quantize"}
        for name in (
            "weight_granularity", "activations_range_estimator", "quantile_outlier_prob",
            "overflow_fix", "fast_bias_correction", "disable_bias_correction", "weight_rounding",
        )
    },
    "recover.enabled": {"recover"},
    **{f"recover.{name}": {"recover"} for name in ("epochs", "batch", "lr", "scale_lr")},
    "engine.input": {"gpu finish"},
    "engine.compute_capabilities": {"gpu engine"},
    "engine.max_batch": {"gpu engine"},
    "engine.plans": {"gpu export"},
    "evaluate.batch": {"evaluate"},
    "benchmark.threads": {"evaluate"},
    "plans": {"quantize"},
}  # fmt: skip
NOTHING = {
    "name", "about", "targets", "runtime", "simplify.timeout_s", "engine.batches",
    "engine.timeout_s", "evaluate.max_drop_pp", "evaluate.fallback", "benchmark.batches",
    "benchmark.rounds", "benchmark.wait_quiet_min", "evaluate.max_class_drop_pp",
    "evaluate.allow_bad_model",
    "benchmark.min_round_ms", "benchmark.warmup", "benchmark.throughput", "benchmark.scope",
}  # fmt: skip
BY_CONTENT = {
    "data.source", "data.calibration", "data.labels", "data.val_fraction", "data.skip_bad_images",
    "data.allow_duplicates",
    "quantize.subset_size", "recover.images",
}  # fmt: skip

# Values where not every one that a type allows will do, or does anything else than BASE.
WORDS = st.lists(st.sampled_from(["a", "b.*", "c/Conv"]), min_size=1, unique=True)
VALUES = {
    "model": st.sampled_from(["convnextv2_femto", "convnextv2_pico"]),
    "runtime": st.sampled_from(["onnxruntime", "openvino"]),
    "targets": st.sampled_from([["cpu"], ["rtx"], ["tensorrt", "cpu"]]),
    "precision": st.just("fp32"),
    "load.weights": st.sampled_from(["in1k", "random", "w.pth"]),
    "load.in_channels": st.sampled_from([1, 2, 4]),
    "preprocess.image_size": st.integers(32, 512).filter(lambda size: size != 224),
    "preprocess.resize": st.just("squash"),
    "preprocess.crop_pct": st.floats(0.3, 0.8),
    "preprocess.mean": st.tuples(*[st.floats(0, 0.3)] * 3),
    "preprocess.std": st.tuples(*[st.floats(0.5, 1)] * 3),
    "train.image_size": st.integers(8, 200),
    "export.form": st.sampled_from(["linear", "conv_moments"]),
    "export.input": st.just("float32"),
    "export.gelu": st.just("erf"),  # that of the plan whose format is ONNX Runtime's own
    "quantize.activation_type": st.just("int8"),
    "quantize.placement": st.sampled_from(["pointwise", "weighted"]),
    "quantize.activations_range_estimator": st.just("minmax"),  # of NNCF's alone: below
    "quantize.weight_rounding": st.just("reconstruction"),  # by NNCF auto is nearest
    "quantize.ignored_names": WORDS,
    "quantize.ignored_patterns": WORDS,
    "quantize.ignored_types": st.sampled_from([["Conv"], ["MatMul", "Gemm"]]),
    "engine.batches": st.just([1, 8]),
    "engine.compute_capabilities": st.just(["8.9"]),
    "engine.plans": st.just({"int8": {1: {"form": "linear", "placement": "weighted"}}}),
    "equalize.alpha": st.floats(0, 1),
    "evaluate.max_class_drop_pp": st.floats(0, 100),
    "benchmark.batches": st.lists(st.integers(1, 8), min_size=1),
    "plans": st.sampled_from(["minmax", "mean_quantile"]).map(
        lambda estimator: {
            runtime: {**plan, "range_estimator": estimator}
            for runtime, plan in BASE["plans"].items()
        }
    ),
}


def fields_of(model: type[Section], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from fields_of(kind, f"{name}.")
        else:
            yield prefix + name, field


FIELDS = dict(fields_of(Recipe))


def value_of(recipe: Recipe, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), recipe)


def changed(name: str, value: Any) -> Recipe | None:
    """BASE with one other value; None where that is not valid, or the same."""
    try:
        recipe = make_recipe(BASE, overrides={name: value})
    except RecipeError:
        return None
    same = value_of(recipe, name) == value_of(make_recipe(BASE), name)
    return None if same else recipe


def other_recipes(name: str) -> st.SearchStrategy[Recipe]:
    field = FIELDS[name]
    annotated = Annotated[(field.annotation, *field.metadata)] if field.metadata else None
    values = VALUES[name] if name in VALUES else st.from_type(annotated or field.annotation)
    return values.map(lambda value: changed(name, value)).filter(lambda recipe: recipe is not None)


@functools.cache
def base_keys() -> dict[str, set[str]]:
    return keys_of(make_recipe(BASE))


def moved(keys: dict[str, set[str]]) -> set[str]:
    """Stages that are asked for under another key than before, or no more."""
    before = base_keys()
    return {one for one in before.keys() | keys.keys() if keys.get(one) != before.get(one)}


def test_every_field_of_every_section_is_known_here_and_every_stage_is_asked_for():
    assert set(FIELDS) == set(DECIDES) | NOTHING | BY_CONTENT
    assert base_keys().keys() == READERS.keys() | LEAVES


@pytest.mark.parametrize("name", sorted(FIELDS))
@settings(max_examples=6)
@given(data=st.data())
def test_a_field_moves_the_keys_of_what_it_decides_and_no_others(name, data):
    recipe = data.draw(other_recipes(name))
    found = moved(keys_of(recipe))
    assert found == with_readers(DECIDES.get(name, set())), value_of(recipe, name)


def test_symmetric_ranges_move_what_the_type_of_activations_decides():
    stated = {**BASE, "quantize": {"activations_range_estimator": "mean_quantile"}}
    assert moved(keys_of(make_recipe(stated))) == with_readers(QUANTIZED)
    typed = {"activations_range_estimator": "mean_quantile", "activation_type": "uint8"}
    assert moved(keys_of(make_recipe({**BASE, "quantize": typed}))) >= with_readers({"quantize"})


def test_the_same_recipe_asks_for_the_same_keys():
    assert keys_of(make_recipe(BASE)) == base_keys()


def test_other_images_move_every_key_but_those_of_the_weights():
    assert moved(keys_of(make_recipe(BASE), "others")) == base_keys().keys() - {"train", "load"}
