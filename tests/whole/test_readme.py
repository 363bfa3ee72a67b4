"""Every command and every Python block of the README and those of folders, run in one folder."""

import csv
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest
from PIL import Image, ImageDraw
from support.own_files import Own
from support.paths import ROOT

from edge_convnext.report.contract import Report

pytest.importorskip("torch", reason="the build extra is not installed")

# In the order in which their commands need each other: what one builds the next one reads.
DOCUMENTS = (
    "README.md",
    "recipes/README.md",
    "calibration/README.md",
    "edge_convnext/networks/README.md",
    "edge_convnext/data/README.md",
    "edge_convnext/stages/README.md",
    "edge_convnext/report/README.md",
    "edge_convnext/report/gate/README.md",
    "edge_convnext/cli/README.md",
    "edge_convnext/runtimes/litert/README.md",
    "edge_convnext/runtimes/tensorrt/README.md",
    "edge_convnext/devices/deploy/README.md",
    "edge_convnext/devices/README.md",
    "benchmarks/README.md",
)
FOR_DEVELOPERS = ("CONTRIBUTING.md", "AGENTS.md", "SECURITY.md")
TEXT = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
PROSE = {name: (ROOT / name).read_text(encoding="utf-8") for name in (*DOCUMENTS, *FOR_DEVELOPERS)}
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
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [block for text in TEXT.values() for block in fence.findall(text)]


def commands():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    # The two install lines end in a command of their own; .ci/run runs them whole.
    there = find_spec("ai_edge_litert") is not None
    return [
        line
        for line in lines
        if line.startswith("edge-convnext") and (there or "litert" not in line)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a reader has: images/, leaves.csv, checkpoint.pth, model.onnx, mynet.py, leaf.jpg."""
    import onnx
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
    own = Own(size=None, outputs=len(CLASSES)).make()
    onnx.helper.set_model_props(own, {"classes": json.dumps(CLASSES)})
    onnx.save(own, root / "model.onnx")
    (source,) = (one for one in blocks("python") if "def small(" in one)
    (root / "mynet.py").write_text(source)
    torch.manual_seed(3)  # of untrained weights some are surely worse than guessing: refused
    network = runpy.run_path(str(root / "mynet.py"))["small"](len(CLASSES))
    torch.save({"model": network.state_dict(), "classes": list(CLASSES)}, root / "mynet.pth")
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
    elif arguments[0] == "recover":
        arguments += ["--epochs", "1"]
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
    assert len(lines) >= 18
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
    assert all(name in code for name in ("load_model", "edge_convnext.build(", "assert_gate"))
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def written_commands(text):
    """Command lines of every block, and commands within a sentence."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^[ $-]*(edge-convnext [^#\n]+)", block, re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (" ".join(line.split()) for line in re.findall(r"`(edge-convnext [^`]+)`", prose))


def options_of(words):
    """Spellings of the options of the command that a line calls."""
    from typer.main import get_command

    from edge_convnext.cli import app

    command = get_command(app)
    for word in words:
        if not hasattr(command, "commands") or word.startswith("-"):
            break
        assert word in command.commands, f"no command {word}"
        command = command.commands[word]
    context = command.make_context("edge-convnext", [], resilient_parsing=True)
    parameters = command.get_params(context)
    return {name for one in parameters for name in (*one.opts, *one.secondary_opts)}


@pytest.mark.parametrize("name", PROSE)
def test_commands_and_flags_that_are_written_exist(name):
    for line in written_commands(PROSE[name]):
        if "COMMAND" in line:  # stands for any of them
            continue
        words = shlex.split(line)[1:]
        flags = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert flags <= options_of(words), line


@pytest.mark.parametrize("name", PROSE)
def test_inline_commands_show_their_help(name):
    from typer.testing import CliRunner

    from edge_convnext.cli import app

    for line in set(re.findall(r"`(edge-convnext [a-z ]+?)`", PROSE[name])):
        words = line.split()[1:]
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0, line


@pytest.mark.parametrize("name", PROSE)
def test_scripts_and_their_flags_that_are_written_exist(name):
    for line in re.findall(r"python -m benchmarks\.[^`\n]+", PROSE[name]):
        module, *words = shlex.split(line)[2:]
        place = ROOT / module.replace(".", "/")
        files = (
            [place.with_suffix(".py")] if place.with_suffix(".py").exists() else place.glob("*.py")
        )
        source = "".join(file.read_text(encoding="utf-8") for file in files)
        assert source, line
        assert all(word in source for word in words if word.startswith("--")), line


@pytest.mark.parametrize("name", PROSE)
def test_files_that_are_linked_or_named_are_there(name):
    here = (ROOT / name).parent
    text = PROSE[name]
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, heading = target.partition("#")
        if path.startswith("http"):
            continue
        assert (here / path).exists(), target
        if heading:
            assert heading in anchors((here / path).read_text(encoding="utf-8")), target
    folders = "recipes|calibration|benchmarks|edge_convnext|tests"
    for path in re.findall(rf"`((?:{folders})/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


def test_every_file_that_a_change_may_go_to_is_there():
    rows = re.findall(r"^\| (?!file)[^|]+\|([^|]+)", PROSE["CONTRIBUTING.md"], re.MULTILINE)
    paths = {path for row in rows for path in re.findall(r"`([\w./-]*/[\w./-]*)`", row)}
    assert len(paths) > 60
    for path in paths:
        assert (ROOT / "edge_convnext" / path).exists() or (ROOT / path).exists(), path


def test_every_folder_of_the_package_has_a_row():
    folders = {path.parent.name for path in (ROOT / "edge_convnext").glob("*/__init__.py")}
    assert folders == set(re.findall(r"^\| `(\w+)/`", PROSE["CONTRIBUTING.md"], re.MULTILINE))


def anchors(text):
    """What a link to a heading calls it."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_the_readme_is_short_and_leads_to_every_other_one():
    assert TEXT["README.md"].count("\n") <= 200
    folders = ("recipes", "calibration", "edge_convnext", "benchmarks")
    found = {path for folder in folders for path in (ROOT / folder).rglob("README.md")}
    shown = {path.relative_to(ROOT).as_posix() for path in found}
    assert shown == {*DOCUMENTS} - {"README.md"}
    linked = set(re.findall(r"\]\(([^)#]+)\)", TEXT["README.md"]))
    assert shown <= linked


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


@pytest.mark.parametrize("name", PROSE)
def test_no_document_has_a_placeholder(name):
    assert "@@" not in PROSE[name]
