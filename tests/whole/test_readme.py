"""Every command and every Python block of the README, run in order in one folder."""

import csv
import os
import re
import shlex
import subprocess
import sys

import pytest
from PIL import Image, ImageDraw
from support.paths import ROOT

from edge_convnext.report.contract import Report

pytest.importorskip("torch", reason="the build extra is not installed")

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLASSES = ("Early_blight", "Late_blight", "healthy")
PER_CLASS = 24
SIZE = 64
# What the commands do does not depend on the network's size: this `atto` exports in a moment.
DEPTHS, WIDTHS = (1, 1, 1, 1), (8, 12, 16, 24)
SMALL = f"""
from edge_convnext.networks.convnext import sizes
sizes.SIZES["atto"] = ({DEPTHS}, {WIDTHS})
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    # The two install lines end in a command of their own; .ci/run runs them whole.
    return [line for line in lines if line.startswith("edge-convnext")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the README's reader has: images/, leaves.csv, checkpoint.pth, leaf.jpg."""
    import torch

    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.sizes import Architecture

    root = tmp_path_factory.mktemp("readme")
    rows = []
    for index, name in enumerate(CLASSES):
        (root / "images" / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            image = Image.new("RGB", (96, 80), (40, 40 + 60 * index, number * 9))
            ImageDraw.Draw(image).ellipse((10 + number, 20, 40 + number, 60), fill=(200, 90, 0))
            path = root / "images" / name / f"{number}.jpg"
            image.save(path)
            side = "val" if number % 4 == 0 else "train"
            rows.append([path.relative_to(root).as_posix(), name, side])
    image.save(root / "leaf.jpg")
    with (root / "leaves.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "split"], *rows])
    state = random_state(Architecture("convnextv2_atto", 2, DEPTHS, WIDTHS, 3), seed=0)
    # An untrained model can't tell in which order its classes stand, so the file does.
    torch.save({"model": state, "classes": list(CLASSES)}, root / "checkpoint.pth")
    return root


def run(line, folder):
    environment = {**os.environ, "EDGE_CONVNEXT_CACHE": str(folder / "cache")}
    environment.pop("CI", None)  # a gate is strict there, and 18 images tell little
    arguments = shlex.split(line)[1:]
    if arguments[0] == "build":
        # Timings are not what is tested, and of one size the graphs are made once.
        arguments += ["--rounds", "2", "--batch", "1", "--calibration-size", "12"]
        arguments += ["--image-size", str(SIZE)]
    elif arguments[:2] == ["bench", "atto.ecb"]:
        arguments += ["--rounds", "2", "--batch", "1"]
    elif arguments[0] == "train":
        arguments += ["--epochs", "1", "--image-size", str(SIZE)]
    code = f"{SMALL}\nfrom edge_convnext.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_every_command_of_the_readme_works(folder):
    lines = commands()
    assert len(lines) >= 6
    # The demo is run whole by tests/whole/test_demo.py; the first line here writes where it would.
    for line in lines:
        result = run(line, folder)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        assert "Warning" not in result.stderr, f"{line}\n{result.stderr}"
    assert Report.read(folder / "build" / "atto-int8" / "report.json").accuracy is not None


# What `run` states for the commands, for the recipe that the block loads.
QUICK = f"""{SMALL}
import edge_convnext

quick = {{
    "benchmark.rounds": 2, "benchmark.batches": [1],
    "quantize.subset_size": 12, "preprocess.image_size": {SIZE},
}}
plain = edge_convnext.load_recipe
edge_convnext.load_recipe = lambda name, stated: plain(name, {{**stated, **quick}})
"""


@pytest.mark.slow
def test_every_python_block_of_the_readme_works(folder):
    environment = {**os.environ, "EDGE_CONVNEXT_CACHE": str(folder / "cache")}
    code = "\n".join([QUICK, *blocks("python")])
    assert "load_model" in code
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_inline_commands_of_the_readme_exist():
    from typer.testing import CliRunner

    from edge_convnext.cli import app

    for line in set(re.findall(r"`(edge-convnext [a-z ]+?)`", README)):
        words = line.split()[1:]
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0, line


@pytest.mark.parametrize("schema", ["github-workflows", "gitlab-ci"])
def test_the_examples_for_ci_are_valid(tmp_path, schema):
    path = ROOT / ".github/workflows/gate.yml"
    if schema == "gitlab-ci":
        (text,) = (block for block in blocks("yaml") if "script:" in block)
        path = tmp_path / ".gitlab-ci.yml"
        path.write_text(text)
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    result = subprocess.run([*check, str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_readme_has_no_placeholder():
    assert "@@" not in README
