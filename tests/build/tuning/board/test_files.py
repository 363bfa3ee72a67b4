import json
from pathlib import Path

import pytest
import yaml
from support.search_results import TRIAL, search_fields

from edge_convnext.build.tuning.board.files import write_board_files
from edge_convnext.build.tuning.board.values import BoardAim, BoardTuned
from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.tuning.result import BoardSearch
from edge_convnext.networks.plans import Plan, float_plan, plan_for, plan_for_gpu
from edge_convnext.networks.recipe_file import load_recipe, make_recipe


@pytest.fixture
def write(tmp_path):
    """Write what a search found that took no time."""

    def run(plan, float_one=None, engine=(), folder="out", **fields):
        graph = tmp_path / "graph.onnx"
        graph.write_bytes(b"graph")
        paths = []
        for name in engine:
            (tmp_path / name).write_bytes(b"plan")
            paths.append(tmp_path / name)
        recipe = make_recipe({"model": "atto", **fields})

        aim = BoardAim("cpu" if plan.batch is None else "tensorrt", host="pi")
        found = BoardSearch.model_validate(search_fields())
        tuned = BoardTuned(
            recipe, aim, found, plan, float_one, graph, tuple(paths), {"x": "no"}, ("by rules",),
            {}, plan.batch or 1, 2.0,
        )  # fmt: skip
        return write_board_files(tuned, tmp_path / folder)

    return run


def test_a_recipe_of_a_cpu_has_the_plan_and_the_runtime_that_won(write, tmp_path):
    plan = Plan("nhwc", "inner", settings=(("a", "0"),))
    report = write(plan, evaluate={"max_drop_pp": 0.5})
    told = json.loads((tmp_path / "out" / "tune.json").read_text())
    assert told == report.to_json()
    assert (told["schema"], told["host"], told["mode"]) == (
        "edge-convnext/tune-board/1",
        "pi",
        "quick",
    )
    assert told["winner"]["sha256"] == TRIAL["sha256"]
    assert told["files"] == ["model.int8.onnx"]
    assert told["not_made"] == {"x": "no"}
    assert told["board"]["schema"] == "edge-convnext/board-search/1"
    tuned = load_recipe(str(tmp_path / "out" / "tuned.yaml"))
    assert plan_for(tuned, "onnxruntime") == plan
    assert (tuned.runtime, tuned.evaluate.max_drop_pp) == ("onnxruntime", 0.5)
    assert tuned.targets == "auto"


def test_a_recipe_of_a_gpu_has_the_plans_of_both_precisions_at_that_batch(write, tmp_path):
    plan = Plan("mixed", "blocks", batch=2, family="typed")
    engine = ("model.int8.engine", "model.int8.engine.json")
    write(plan, float_plan("linear", "fp16", 2, "typed"), engine)
    tuned = load_recipe(str(tmp_path / "out" / "tuned.yaml"))
    assert plan_for_gpu(tuned, "int8", 2) == plan
    assert plan_for_gpu(tuned, "fp16", 2).form == "linear"
    assert tuned.targets == ("tensorrt",)
    assert tuned.engine.batches == (2,)
    assert (tmp_path / "out" / "model.int8.engine").read_bytes() == b"plan"
    # A later search of a CPU takes its place, and leaves no engine behind.
    write(Plan("nhwc", "inner"))
    assert not (tmp_path / "out" / "model.int8.engine").exists()
    assert "engine" not in yaml.safe_load((tmp_path / "out" / "tuned.yaml").read_text())


def test_a_model_that_no_search_wrote_is_not_replaced(write, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.int8.onnx").write_bytes(b"mine")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: would be overwritten"):
        write(Plan("nhwc", "inner"))
    assert Path(tmp_path / "out" / "model.int8.onnx").read_bytes() == b"mine"
