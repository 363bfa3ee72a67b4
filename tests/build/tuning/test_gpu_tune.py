"""`tune --target rtx`: the search, its choice, and what it writes."""

import json
import sys
from dataclasses import replace

import pytest
import yaml
from support.gpu_trials import trial

from edge_convnext.build.tuning import gpu_files
from edge_convnext.build.tuning.gpu_files import SCHEMA, tune_gpu_to_files
from edge_convnext.build.tuning.gpu_tune import (
    engine_plans,
    plan_capability,
    with_engine_plans,
)
from edge_convnext.build.tuning.space import list_gpu_forms
from edge_convnext.build.tuning.trials import choose_candidates, is_alike, rank
from edge_convnext.cli import main
from edge_convnext.core.cache import Cache
from edge_convnext.core.progress import untracked
from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.convnext.form_names import ONE_IMAGE_FORMS
from edge_convnext.networks.convnext.placements import quantized_nodes
from edge_convnext.networks.plans import list_gpu_plans
from edge_convnext.networks.recipe_file import load_recipe, resolve_recipe
from edge_convnext.runtimes.tensorrt import rtx_builder as engine

FORMS = ("linear", "mixed", "expand", "late", "late_mixed")


def call(monkeypatch, *arguments):
    """Exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["edge-convnext", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_forms_of_computed_weights_are_for_one_image():
    assert set(ONE_IMAGE_FORMS) <= set(list_gpu_forms(1, FAMILY))
    assert not set(ONE_IMAGE_FORMS) & set(list_gpu_forms(8, FAMILY))


def test_placements_quantize_less_and_less():
    blocks = [f"stages.{at}.blocks.0.pwconv1/MatMul" for at in range(4)]
    found = [quantized_nodes([*blocks, "head.fc/Gemm"], name) for name in FAMILY.gpu_placements]
    assert found == [frozenset(blocks), frozenset(blocks[2:]), frozenset(blocks[3:])]


def test_the_model_ranks_and_kernels_break_ties():
    slow, fast, many = trial("linear", ms=2.0), trial("expand"), trial("mixed", kernels=96)
    failed = replace(trial("late"), cost=None)
    assert [one.plan.form for one in rank([slow, many, failed, fast])] == [
        "expand", "mixed", "linear",
    ]  # fmt: skip


def test_a_form_that_ruins_accuracy_is_not_picked():
    ranked = [
        trial("late", "blocks", sqnr_db=5.0),
        trial("late_mixed", "blocks", drop=3.0),
        trial("mixed", "blocks", drop=0.5),
        trial("linear", "blocks", drop=-0.1),
    ]
    chosen = choose_candidates(ranked, 1.0)
    assert [one.rank for one in chosen] == [None, None, 1, 2]
    assert [one.picked for one in chosen] == [False, False, True, False]
    assert chosen[0].reason == "computes something else: 5.0 dB"
    assert chosen[1].reason == "top-1 drops by 3.00 pp, past 1.00"


def test_where_none_keeps_the_budget_the_most_accurate_is_picked_and_says_so():
    chosen = choose_candidates(
        [trial("late", "blocks", drop=9.0), trial("mixed", "blocks", drop=2.0)], 1.0
    )
    assert [one.picked for one in chosen] == [False, True]
    assert chosen[1].reason.endswith("none keeps the budget")


def test_plans_that_compile_to_the_same_are_alike():
    one, other = trial("mixed", "blocks"), trial("expand", "blocks", ms=1.01)
    assert is_alike(one, other)
    assert not is_alike(one, trial("expand", "blocks", kernels=96))
    assert not is_alike(one, replace(other, cost=replace(other.cost, weight_bytes=5_000_000)))
    assert not is_alike(one, replace(other, cost=None))


def test_only_three_go_on_to_the_device():
    chosen = choose_candidates([trial(form, ms=1.0 + at) for at, form in enumerate(FORMS)], 1.0)
    assert [one.rank for one in chosen] == [1, 2, 3, None, None]
    assert chosen[0].picked


def test_plans_are_written_by_precision_and_batch(result):
    plans = engine_plans(result)
    assert plans == {
        "fp16": {"1": {"form": "weights_expand"}, "8": {"form": "product_expand"}},
        "int8": {"1": {"form": "late_mixed", "placement": "blocks"}},
    }
    fields = with_engine_plans({"model": "atto", "engine": {"max_batch": 4}}, plans)
    assert fields == {"model": "atto", "engine": {"max_batch": 4, "plans": plans}}


def test_each_candidate_has_a_recipe(result, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_files, "tune_gpu", lambda *_, **__: result)
    recipe = resolve_recipe(None, {"load.weights": "random"})
    (tmp_path / "tuned-3.yaml").write_text("of an earlier search")
    earlier = {"schema": SCHEMA, "recipes": ["tuned.yaml", "tuned-3.yaml"]}
    (tmp_path / "tune.json").write_text(json.dumps(earlier))
    report = tune_gpu_to_files(recipe, result.gpu, [1, 8], tmp_path, untracked, cache=Cache("none"))
    assert report.recipes == ("tuned.yaml", "tuned-2.yaml")
    assert not (tmp_path / "tuned-3.yaml").exists()
    first, second = (load_recipe(str(tmp_path / name)) for name in report.recipes)
    stated = yaml.safe_load((tmp_path / "tuned.yaml").read_text())
    assert stated["model"] == "convnextv2_atto"
    assert first.targets == second.targets == ("tensorrt",)
    assert first.engine.batches == (1, 8)
    assert first.engine.plans["fp16"][1].form == "weights_expand"
    assert second.engine.plans["fp16"][1].form == "expand"
    assert second.engine.plans["fp16"][8] == first.engine.plans["fp16"][8]  # it has no second
    assert second.engine.plans["int8"] == first.engine.plans["int8"]
    assert [one.form for one in map(plan_of, (first, second))] == ["weights_expand", "expand"]


def plan_of(recipe):
    return next(one for one in list_gpu_plans(recipe, recipe.targets) if one.precision == "fp16")


def test_a_device_that_has_engines_is_modelled_from_its_own_plan():
    assert [plan_capability(each) for each in ("8.9", "8.7", "7.5")] == ["8.9", "8.6", "7.5"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--target", "rtx", "--device", "orin-nono-8gb"], "did you mean 'orin-nano-8gb'"),
        (["--target", "rtx", "--compute-capability", "1.0"], "no device of compute capability"),
        (["--target", "rtx", "--runtime", "openvino"], "--runtime is only for --target cpu"),
        (["--target", "rtx", "--device", "xavier-nx-8gb"], "gets ONNX files and no engine"),
        (["--device", "orin-nano-8gb"], "add --target rtx"),
        (["--batch", "1", "--batch", "8"], "one batch size on the CPU"),
    ],
)
def test_flags_that_contradict_are_one_line(flags, message, tmp_path, monkeypatch, capsys):
    flags = ["--model", "atto", "--weights", "random", "--out", str(tmp_path / "out"), *flags]
    assert call(monkeypatch, "tune", *flags) == 3
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert not (tmp_path / "out").exists()


def test_without_the_builder_the_extra_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(engine, "find_spec", lambda _: None)
    monkeypatch.setattr(engine.sys, "platform", "linux")
    monkeypatch.setattr(engine.platform, "machine", lambda: "x86_64")
    flags = ["--target", "rtx", "--weights", "random", "--out", str(tmp_path / "out")]
    assert call(monkeypatch, "tune", *flags) == 3
    assert "pip install 'edge-convnext[rtx]'" in capsys.readouterr().err
