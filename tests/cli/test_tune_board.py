import json
import platform
from pathlib import Path
from types import SimpleNamespace as Of

import pytest
from support.search_results import search_fields

from edge_convnext.build.tuning.board import tune as board_tune
from edge_convnext.cli.hosts import Remote
from edge_convnext.cli.tune_board import OnBoard, runs_on_board
from edge_convnext.core.errors import RecipeError
from edge_convnext.devices import tuning
from edge_convnext.devices.tuning.result import BoardSearch

FOUND = BoardSearch.model_validate(search_fields())


def test_modes_are_listed_in_one_text_or_in_several():
    assert OnBoard(power_modes=["0,1", " 15W ", "1"]).modes == ("0", "1", "15W")
    assert OnBoard().modes == ()
    assert OnBoard(minutes=1.0, power_modes=["0"]).stated() == ["--minutes", "--power-modes"]
    assert OnBoard(lock_clocks=True).stated() == ["--lock-clocks"]


@pytest.mark.parametrize(
    ("target", "board", "remote", "expected"),
    [
        ("cpu", OnBoard(), Remote(), False),
        ("rtx", OnBoard(), Remote(), False),
        ("cpu", OnBoard(minutes=2.0), Remote(host=["a"]), True),
        ("tensorrt", OnBoard(power_modes=["0"]), Remote(), True),
        ("arm-cpu", OnBoard(), Remote(host=["a"]), True),
    ],
)
def test_a_board_is_meant_by_a_host_and_by_a_target(target, board, remote, expected):
    assert runs_on_board(target, board, remote) is expected


@pytest.mark.parametrize(
    ("target", "board", "remote", "message"),
    [
        ("rtx", OnBoard(), Remote(host=["a"]), "pass --target tensorrt, arm-cpu or cpu"),
        ("cpu", OnBoard(), Remote(host=["a", "b"]), "pass one --host"),
        ("cpu", OnBoard(minutes=1.0), Remote(), "--minutes is about a board"),
        ("rtx", OnBoard(power_modes=["0"]), Remote(), "--power-modes is about a board"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(target, board, remote, message):
    with pytest.raises(RecipeError, match=message):
        runs_on_board(target, board, remote)


def test_an_arm_board_is_another_machine_unless_this_is_one(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(RecipeError, match="this machine is x86_64: add --host"):
        runs_on_board("arm-cpu", OnBoard(), Remote())
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert runs_on_board("arm-cpu", OnBoard(), Remote())


@pytest.fixture
def searched(call, monkeypatch):
    seen = {}

    def tune_board_to_files(recipe, aim, folder, track, say, on_read):
        seen.update(recipe=recipe, aim=aim, folder=folder)
        say("the search has started")
        return Of(tuned=Of(found=FOUND, notes=("ordered by rules",)), to_json=lambda: {"x": 1})

    monkeypatch.setattr(board_tune, "tune_board_to_files", tune_board_to_files)

    def run(*flags):
        return call("tune", *flags), seen

    return run


def test_what_is_stated_reaches_the_board(searched):
    (code, out, err), seen = searched(
        "--target", "tensorrt", "--host", "me@orin", "--minutes", 3, "--power-modes", "0,1",
        "--ssh-option", "Port=2", "--remote-command", "e/bin", "--keep", "--mode", "full",
        "--lock-clocks", "--batch", 2, "--device", "orin-nano-8gb", "--out", "there", "--json",
    )  # fmt: skip
    assert (code, json.loads(out), err) == (0, {"x": 1}, "")
    aim = seen["aim"]
    assert (aim.target, aim.full, aim.batch, aim.host) == ("tensorrt", True, 2, "me@orin")
    assert (aim.minutes, aim.power_modes, aim.gpu.name) == (3.0, ("0", "1"), "orin-nano-8gb")
    assert aim.lock_clocks
    assert (aim.remote.ssh_options, aim.remote.command, aim.remote.keep) == (
        ("Port=2",), "e/bin", True,
    )  # fmt: skip
    assert seen["folder"] == Path("there")


def test_a_search_of_a_cpu_is_told_with_what_to_build_next(searched):
    (code, out, err), seen = searched(
        "--target", "arm-cpu", "--host", "pi", "--runtime", "openvino"
    )
    assert code == 0
    assert seen["aim"].gpu is None
    assert seen["recipe"].runtime == "openvino"
    assert "won" in out
    assert "edge-convnext build --recipe tune/atto/tuned.yaml" in out
    assert "the search has started" in err
    assert "ordered by rules" in err


def test_on_the_board_a_search_is_run_as_it_came(call, monkeypatch, tmp_path):
    seen = []

    def search_bundle(path, out, settings, track, say):
        seen.append((path, out, settings.minutes, settings.power_modes))
        return FOUND

    monkeypatch.setattr(tuning, "search_bundle", search_bundle)
    code, out, _ = call("tune", "a.ecb", "--minutes", 2, "--power-modes", "1", "--json")
    assert (code, json.loads(out)) == (0, FOUND.to_json())
    code, out, _ = call("tune", "a.ecb", "--out", "there")
    assert (code, "Orin" in out) == (0, True)
    assert seen == [
        (Path("a.ecb"), Path("board/a"), 2.0, ("1",)),
        (Path("a.ecb"), Path("there"), None, ()),
    ]


@pytest.mark.parametrize(
    "flags", [("--model", "nano"), ("--host", "x"), ("--batch", 2), ("--recipe", "r"), ("--keep",)]
)
def test_nothing_else_goes_with_a_search(call, flags):
    code, _, err = call("tune", "a.ecb", *flags)
    assert code == 3
    assert "a search has its model, data and plans in it" in err


def test_a_flag_of_ssh_without_a_host_is_told(call):
    code, _, err = call("tune", "--ssh-option", "Port=1")
    assert code == 3
    assert "add --host" in err
