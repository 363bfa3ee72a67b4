"""`edge-convnext check`: what is read, who says so, and what a build would refuse."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.known_models import draw_images, write_colour_model

from edge_convnext.build.check import check_inputs
from edge_convnext.cli import main
from edge_convnext.core.cache import Cache
from edge_convnext.networks.recipe_file import make_recipe


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    """Run the entry point here: exit code, stdout, stderr."""
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path / "cache"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge-convnext", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def small(monkeypatch):
    pytest.importorskip("torch", reason="the build extra is not installed")
    from edge_convnext.networks.convnext import sizes as architecture

    monkeypatch.setitem(architecture.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))


def draw(root, names=("ant", "bee", "cat"), count=20):
    counts = {f"train/{name}": (2, colour) for colour, name in enumerate(names)}
    counts |= {f"val/{name}": (count, colour) for colour, name in enumerate(names)}
    return draw_images(root, counts)


def test_data_alone_needs_no_torch(tmp_path):
    data = draw(tmp_path / "data", count=2)
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['safetensors'] = None\n"
        "from edge_convnext.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "--data", str(data), "--json"],
        env={**os.environ, "EDGE_CONVNEXT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    classes = next(one for one in found["settings"] if one["name"] == "classes")
    assert (classes["value"], classes["kind"]) == (["ant", "bee", "cat"], "folder names")
    assert found["ok"] is True


def test_an_order_that_nothing_states_is_told_of_data_alone(tmp_path, call):
    data = draw(tmp_path / "data", names=("stage 1", "stage 2", "stage 10"), count=2)
    code, out, _ = call("--data", data, "--json")
    assert code == 0
    (note,) = [one for one in json.loads(out)["notes"] if "order" in one]
    assert "stage 1, stage 10, stage 2; or stage 1, stage 2, stage 10." in note
    assert "--labels" in note


def test_weights_alone_tell_what_they_say(small, tmp_path, call):
    extra = {"classes": ["cat", "ant", "bee"], "image_size": 32}
    weights = write_colour_model(tmp_path / "w.pth", (2, 0, 1), extra)
    code, out, err = call("--weights", weights, "--model", "atto", "--std", "0.5")
    assert code == 0, err
    assert "classes       3: cat, ant, bee" in out
    assert "checkpoint (" in out.splitlines()[1]
    assert "  std           0.5, 0.5, 0.5                --std\n" in out
    assert out.endswith("nothing that a build would refuse\n")
    assert all(len(line) <= 80 for line in out.splitlines())
    assert not (tmp_path / "cache" / "load").exists()


def test_what_a_build_refuses_is_refused_with_the_same_line(small, tmp_path, call):
    data = draw(tmp_path / "data")
    weights = write_colour_model(tmp_path / "w.pth", (2, 0, 1))
    flags = ("--weights", weights, "--data", data, "--image-size", 32)
    code, out, err = call(*flags, "--json")
    assert code == 3
    found = json.loads(out)
    assert found["ok"] is False
    assert found["suggested_order"] == ["cat", "ant", "bee"]
    assert "another order (cat, ant, bee)" in found["refused"]
    assert err == f"error: {found['refused']}\n"
    code, out, err = call(*flags)
    assert code == 3
    assert out.startswith("what I read\n")
    assert err.endswith(f"error: {found['refused']}\n")


def test_another_number_of_classes_is_named(small, tmp_path, call):
    data = draw(tmp_path / "data", names=("ant", "bee"), count=3)
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    code, _, err = call("--weights", weights, "--data", data, "--quiet")
    assert code == 3
    assert "the data has 2 classes (ant, bee), the weights 3" in err


def test_one_side_that_is_wrong_hides_nothing_of_the_other(small, tmp_path, call):
    data = draw(tmp_path / "data", count=2)
    (tmp_path / "no.pth").write_bytes(b"nothing")
    code, out, err = call("--weights", tmp_path / "no.pth", "--data", data)
    assert code == 3
    assert "folder names" in out
    assert "no.pth" in err.splitlines()[-1]


def test_an_image_that_can_not_be_decoded_is_found(tmp_path, call):
    data = draw(tmp_path / "data", count=3)
    (data / "val" / "ant" / "1.png").write_bytes(b"<html>")
    code, _, err = call("--data", data, "--quiet")
    assert code == 3
    assert "1.png" in err
    assert call("--data", data, "--quiet", "--skip-bad-images")[0] == 0


def test_calibration_images_that_are_evaluated_are_found(tmp_path, call):
    data = draw(tmp_path / "data", count=3)
    code, _, err = call("--data", data, "--calibration", data / "val" / "ant", "--quiet")
    assert code == 3
    assert "are in the evaluation set" in err


def test_nothing_to_check_is_a_matter_of_usage(call):
    code, _, err = call()
    assert code == 2
    assert "pass --weights, --data or both" in err


@pytest.fixture
def reads(monkeypatch):
    """Paths whose content was hashed."""
    from edge_convnext.core import hash_memory
    from edge_convnext.core.files import sha256_file

    seen = []
    monkeypatch.setattr(
        hash_memory, "sha256_file", lambda path: seen.append(path) or sha256_file(path)
    )
    # As if a minute had passed since the files of this test were written.
    monkeypatch.setattr(hash_memory.time, "time", lambda now=time.time: now() + 60)
    return seen


def test_a_check_writes_nothing_but_hashes(tmp_path, reads):
    data = draw(tmp_path / "data", count=2)
    recipe = make_recipe({}, "recipe", {"data.source": str(data)})
    checked = check_inputs(recipe, Cache(tmp_path / "cache"))
    assert checked.refused is None
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"hashes"}
    hashed = len(reads)
    assert hashed == len(list(data.rglob("*.png")))
    check_inputs(recipe, Cache(tmp_path / "cache"))
    assert len(reads) == hashed
    assert isinstance(checked.to_json()["settings"], list)
    assert not Path("weights.safetensors").exists()
