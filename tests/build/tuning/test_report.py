import json
from dataclasses import replace

import pytest

from edge_convnext.build.tuning import report as module
from edge_convnext.build.tuning.report import SCHEMA, TuneReport, tune_to_files
from edge_convnext.build.tuning.trials import Trial
from edge_convnext.build.tuning.tune import TuneResult
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.progress import untracked
from edge_convnext.networks.plans import Plan
from edge_convnext.networks.recipe_file import make_recipe

PLAN = Plan("conv", "inner", settings=(("b", "1"), ("a", "2")))
TRIAL = Trial("onnxruntime", PLAN, None, None, None, None, 10, True, "it won")
RESULT = TuneResult("quick", 1, (TRIAL,), {"onnxruntime": PLAN}, {}, "machine", 3.14159, 12.34)


def recipe(**load):
    return make_recipe({"preprocess": {"image_size": 96}, "load": load})


def test_the_document_names_the_model_the_machine_and_every_trial():
    report = TuneReport(recipe(weights="some/where/w.pth"), RESULT, {"cpu": "this"})
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert (found["schema"], found["mode"], found["batch"]) == (SCHEMA, "quick", 1)
    assert (found["weights"], found["image_size"]) == ("w.pth", 96)
    assert (found["seconds"], found["other_load_pct"]) == (12.3, 3.1)
    assert found["environment"] == {"cpu": "this"}
    (trial,) = found["trials"]
    assert trial["plan"]["settings"] == [["b", "1"], ["a", "2"]]  # in their order
    assert (trial["won"], trial["reason"]) == (True, "it won")
    assert found["winners"]["onnxruntime"]["form"] == "conv"
    assert TuneReport(recipe(), RESULT, {}).to_json()["weights"] == "demo"
    assert found["refined"] == {}
    refined = replace(RESULT, refined={"onnxruntime": "not run: because"})
    told = TuneReport(recipe(), refined, {}).to_json()["refined"]
    assert told == {"onnxruntime": "not run: because"}


def test_where_the_search_fails_nothing_is_written(tmp_path, monkeypatch):
    def fail(*_arguments):
        raise EdgeConvNextError("no plan")

    monkeypatch.setattr(module, "tune", fail)
    with pytest.raises(EdgeConvNextError, match="no plan"):
        tune_to_files(recipe(), "quick", tmp_path / "out", untracked, Cache(tmp_path / "cache"))
    assert not (tmp_path / "out").exists()
