import json
from pathlib import Path

import pytest

from edge_convnext.build.tuning import cost_model, gpu_files, report
from edge_convnext.cli.tune import Aim
from edge_convnext.core.errors import RecipeError


@pytest.mark.parametrize(
    ("aim", "runtime", "message"),
    [
        (Aim(target="rtx"), "openvino", "--runtime is only for --target cpu"),
        (Aim(device="orin-nano-8gb"), None, "add --target rtx"),
        (Aim(compute_capability="8.7"), None, "add --target rtx"),
        (Aim(batch=[1, 8]), None, "one batch size on the CPU"),
    ],
)
def test_flags_of_the_other_target_are_refused(aim, runtime, message):
    with pytest.raises(RecipeError, match=message):
        aim.refuse_mixed(runtime)


def test_flags_of_one_target_go_together():
    Aim().refuse_mixed(None)
    Aim(batch=[4]).refuse_mixed("openvino")
    Aim([1, 8], "rtx", "orin-nano-8gb").refuse_mixed(None)


class Found:
    """A search that is over."""

    def __init__(self, **fields):
        vars(self).update(fields)

    def to_json(self):
        return {"schema": "x"}


@pytest.fixture
def searched(call, monkeypatch):
    seen = {}

    def tune_to_files(recipe, mode, folder, track, batch):
        seen.update(recipe=recipe, mode=mode, folder=folder, batch=batch)
        return Found()

    def tune_gpu_to_files(recipe, gpu, batches, folder, track, every):
        seen.update(recipe=recipe, gpu=gpu, batches=batches, folder=folder, every=every)
        return Found(recipes=("tuned.yaml", "tuned-2.yaml"))

    monkeypatch.setattr(report, "tune_to_files", tune_to_files)
    monkeypatch.setattr(gpu_files, "tune_gpu_to_files", tune_gpu_to_files)
    monkeypatch.setattr(cost_model, "find_model_gpu", lambda *asked: asked)

    def run(*flags):
        code, out, err = call("tune", "--json", *flags)
        assert (code, err) == (0, "")
        assert json.loads(out) == {"schema": "x"}
        return seen

    return run


def test_the_cpu_is_searched_with_what_is_stated(searched):
    seen = searched()
    assert (seen["mode"], seen["batch"], seen["folder"]) == ("quick", 1, Path("tune/atto"))
    seen = searched(
        "--weights", "w.pth", "--model", "nano", "--data", "d", "--calibration", "c",
        "--labels", "l", "--mode", "full", "--runtime", "openvino", "--batch", 4, "--threads", 2,
        "--max-drop", 0.5, "--allow-bad-model", "--out", "there", "--std", "0.5",
    )  # fmt: skip
    assert (seen["mode"], seen["batch"], seen["folder"]) == ("full", 4, Path("there"))
    recipe = seen["recipe"]
    assert (recipe.model, recipe.load.weights) == ("convnextv2_nano", "w.pth")
    assert (recipe.data.source, recipe.data.calibration, recipe.data.labels) == ("d", "c", "l")
    assert (recipe.runtime, recipe.benchmark.threads) == ("openvino", 2)
    assert (recipe.evaluate.max_drop_pp, recipe.evaluate.allow_bad_model) == (0.5, True)
    assert recipe.preprocess.std == (0.5, 0.5, 0.5)


def test_a_gpu_is_searched_for_every_batch_size(searched):
    seen = searched("--target", "rtx", "--compute-capability", "8.7", "--batch", 1, "--batch", 8)
    assert (seen["gpu"], seen["batches"], seen["every"]) == ((None, "8.7"), [1, 8], False)
    seen = searched("--target", "rtx", "--device", "thor-t5000", "--mode", "full")
    assert (seen["gpu"], seen["batches"], seen["every"]) == (("thor-t5000", None), [1], True)


@pytest.mark.parametrize(("flag", "value"), [("--batch", 0), ("--batch", 4097), ("--threads", 0)])
def test_limits_of_the_command_line_are_usage_errors(call, flag, value):
    assert call("tune", flag, value)[0] == 2


def test_a_folder_that_cannot_be_written_is_told_before_the_search(call, monkeypatch, tmp_path):
    (tmp_path / "taken").touch()
    monkeypatch.setattr(report, "tune_to_files", lambda *_, **__: pytest.fail("searched"))
    code, _, err = call("tune", "--out", "taken")
    assert code == 3
    assert "taken: is a file" in err


def test_what_is_to_be_built_next_is_told(capsys):
    from edge_convnext.cli.tune import _print_next

    _print_next(Path("there"), ())
    assert f"edge-convnext build --recipe {Path('there/tuned.yaml')}\n" in capsys.readouterr().out
    _print_next(Path("there"), ("tuned.yaml", "tuned-2.yaml"))
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if "build --recipe" in line]
    assert [line.split()[3] for line in commands] == [
        str(Path("there") / name) for name in ("tuned.yaml", "tuned-2.yaml")
    ]
    assert all(" --out build/" in line for line in commands)


def test_a_flag_of_the_other_target_is_told_before_anything_is_read(call):
    code, _, err = call("tune", "--target", "rtx", "--runtime", "openvino", "--recipe", "none")
    assert (code, err.count("\n")) == (3, 1)
    assert "--runtime is only for --target cpu" in err
