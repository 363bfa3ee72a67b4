import json

import pytest
import yaml

from edge_convnext.build import dry_run
from edge_convnext.build.dry_run import Chain, Outlook
from edge_convnext.core.build_times import BuildTimes, Piece
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.networks.recipe_file import load_recipe

FOUND = Outlook(
    (Fact("image_size", 96, Origin("flag", "--image-size")),),
    ("A note.",),
    ("cpu",),
    ("onnxruntime",),
    (
        Chain("weights and images", ("load",), None),
        Chain("nhwc form: float", ("fold", "export"), "simplify"),
        Chain("conv form: float", (), "export"),
    ),
    ("a race of 20 rounds",),
)


@pytest.fixture
def looked(monkeypatch):
    asked = []

    def look(recipe, root, track):
        asked.append(recipe)
        return FOUND

    monkeypatch.setattr(dry_run, "look_ahead", look)
    return asked


def test_it_tells_what_is_read_done_and_cached_and_builds_nothing(call, looked, tmp_path):
    code, out, err = call("build", "--weights", "random", "--dry-run", "--precision", "8")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "would build convnextv2_atto, int8, for cpu in onnxruntime, into build/atto-int8",
        "what would be read",
        "  image_size    96                           --image-size",
        "  - A note.",
        "what would be done",
        "  - weights and images: all cached",
        "  - nhwc form: float: cached: fold, export; to make: simplify and what follows",
        "  - conv form: float: to make: export and what follows",
        "  - a race of 20 rounds",
        "no build of this kind has been timed here yet",
        "nothing was written",
    ]
    assert [*tmp_path.iterdir()] == []


def test_the_last_builds_of_the_kind_say_how_long(call, looked, tmp_path):
    kind = "convnextv2_atto int8 full auto auto own 20 rounds tune quick"
    BuildTimes(tmp_path / "cache").keep(kind, [Piece("export", 30.0), Piece("race", 42.0)])
    line = ("build", "--weights", "random", "--dry-run", "--tune", "quick")
    out = call(*line)[1]
    assert "about 1:12 by the last builds of this kind here" in out
    assert "  - a search for plans first (--tune quick)" in out
    document = json.loads(call(*line, "--json")[1])
    assert (document["last_seconds"], document["out"]) == (72.0, "build/atto-int8")
    assert document["chains"][1]["first_made"] == "simplify"


def test_the_command_line_is_saved_as_a_recipe(call, looked, tmp_path):
    line = ("build", "--weights", "random", "--imgsz", "64", "--op-types-to-exclude", "Conv")
    code, out, _ = call(*line, "--dry-run", "--save-recipe", "mine.yaml")
    assert code == 0
    assert out.splitlines()[-1] == "nothing but mine.yaml was written"
    saved = load_recipe(tmp_path / "mine.yaml")
    assert saved.model_dump() == looked[0].model_dump()
    fields = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert fields["quantize"] == {"ignored_types": ["Conv"]}
    assert "evaluate" not in fields  # only what was stated
    code, _, err = call(*line, "--dry-run", "--save-recipe", "mine.yaml")
    assert (code, err.count("\n")) == (3, 1)
    assert "mine.yaml: is there already; choose another name" in err


def test_a_recipe_that_can_not_be_written_is_refused_before_any_work(call, looked, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = call("build", "--weights", "random", "--save-recipe", "file/mine.yaml")
    assert (code, err.count("\n")) == (3, 1)
    assert "can't be written" in err


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("o2/recipe.yaml", "the build writes its own recipe.yaml into o2; choose another name or"),
        ("o2/../o2/report.json", "the build writes its own report.json into o2"),
        ("nowhere/mine.yaml", "there is no folder nowhere; make it, or choose another place"),
    ],
)
def test_a_recipe_in_the_way_of_its_build_is_refused_first(
    call, looked, tmp_path, path, why, flags
):
    line = ("build", "--weights", "random", "--out", "o2", "--save-recipe", path)
    code, out, err = call(*line, *flags)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert why in err
    assert [*tmp_path.iterdir()] == []


def test_an_out_that_a_build_would_refuse_is_refused(call, looked, tmp_path):
    (tmp_path / "report.json").write_text("mine")
    code, out, err = call("build", "--weights", "random", "--dry-run", "--out", ".")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "report.json: would be overwritten" in err


def test_a_label_that_a_build_would_refuse_is_refused_and_nothing_written(call, looked, tmp_path):
    line = ("build", "--weights", "random", "--dry-run", "--save-recipe", "mine.yaml")
    code, out, err = call(*line, "--label", "x" * 300)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "--label is one line of 1 to 120" in err
    assert [*tmp_path.iterdir()] == []


def test_the_hosts_that_would_measure_are_told(call, looked):
    line = ("build", "--weights", "random", "--dry-run")
    hosts = ("--host", "user@orin", "--host", "pi")
    out = " ".join(call(*line, *hosts)[1].split())
    for host in ("user@orin", "pi"):
        assert f"the build is copied to {host} over SSH and measured there; it was not" in out
    assert json.loads(call(*line, *hosts, "--json")[1])["hosts"] == ["user@orin", "pi"]
    assert json.loads(call(*line, "--json")[1])["hosts"] == []
