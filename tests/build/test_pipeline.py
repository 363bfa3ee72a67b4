"""The order of a build, and what each step gets of the ones before."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.races import candidate

from edge_convnext.build import pipeline
from edge_convnext.build.entrants import Choice, Entrants
from edge_convnext.networks.recipe_file import make_recipe

MACHINE = {"versions": {"onnx": "1"}, "fingerprint": "this one"}
RECIPE = make_recipe({"model": "convnextv2_atto"})
ARM = candidate("for arm too")
ENTRANTS, CHOICE = Entrants((), (), ("judged",), None, for_arm=(ARM,)), Choice(None, None)
RACE = SimpleNamespace(timings="timings")


@pytest.fixture
def steps(monkeypatch):
    """Every step in its order, with what it was given."""
    called = []

    def stub(name, result):
        def step(*given, **named):
            called.append((name, given, named))
            return result

        monkeypatch.setattr(pipeline, name, step)

    prepared = SimpleNamespace(
        runner=SimpleNamespace(recipe=RECIPE), inputs=SimpleNamespace(info="info"),
        targets=("cpu",),
        graphs=SimpleNamespace(for_gpu="for gpu"),
    )  # fmt: skip
    for name, result in {
        "check_writable": None,
        "environment": MACHINE,
        "prepare": prepared,
        "build_engines": "engines",
        "Evaluator": SimpleNamespace(found="evaluation", fallbacks="fallbacks"),
        "evaluate_entrants": ENTRANTS,
        "race_entrants": RACE,
        "remember_slow_forms": None,
        "choose_entrants": CHOICE,
        "find_arm_graphs": "for arm",
        "list_files": ("files", {"digest": "name"}),
        "assemble_report": "report",
        "publish": "published",
    }.items():
        stub(name, result)
    return called


CACHE = SimpleNamespace(guarded=nullcontext)


def test_a_build_goes_through_its_steps_in_order(steps):
    made = pipeline.build(RECIPE, "out", cache=CACHE, require="int8", label=" release 3 ")
    assert made == "published"
    assert [name for name, _, _ in steps] == [
        "check_writable", "environment", "prepare", "build_engines", "Evaluator",
        "evaluate_entrants", "race_entrants", "remember_slow_forms", "choose_entrants",
        "find_arm_graphs", "list_files", "assemble_report", "publish",
    ]  # fmt: skip
    given = {name: arguments for name, arguments, _ in steps}
    assert given["choose_entrants"][1:3] == (("judged",), "timings")
    assert given["remember_slow_forms"][1:] == ("info", (), "timings", "this one")
    assert given["find_arm_graphs"][1:] == (["judged", ARM], "fallbacks")
    assert given["list_files"][-1] == "for arm"
    outcome, names, folder, requirement = given["assemble_report"]
    assert (outcome.engines, outcome.race, outcome.choice) == ("engines", RACE, CHOICE)
    assert (outcome.for_arm, outcome.label) == ("for arm", "release 3")
    assert (names, folder, requirement.precision) == ({"digest": "name"}, Path("out"), "int8")
    assert given["publish"] == ("files", "report", Path("out"))


def test_without_a_race_nothing_was_timed(steps, monkeypatch):
    monkeypatch.setattr(pipeline, "race_entrants", lambda *_: None)
    pipeline.build(RECIPE, "out", cache=CACHE)
    given = {name: arguments for name, arguments, _ in steps}
    assert given["choose_entrants"][2] is None
    assert "remember_slow_forms" not in given
    assert given["assemble_report"][0].race is None


def test_the_folder_has_the_name_of_the_model_and_the_precision(steps):
    pipeline.build(RECIPE, cache=CACHE)
    assert steps[0][1] == (Path("build/atto-int8"),)
