"""A run in an empty home leaves nothing there, and connects to nobody."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.builds import write_images

for needed in ("torch", "nncf", "onnxscript"):
    pytest.importorskip(needed, reason="the build extra is not installed")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="HOME and TMPDIR")

# A network of a few channels: what is asked here does not depend on the size.
RUN = """
import sys
from edge_convnext.networks.convnext import sizes
sizes.SIZES["atto"] = ((1, 1, 1, 1), (8, 12, 16, 24))
from edge_convnext.cli import main
main()
"""
RECIPE = """
model: atto
targets: [cpu]
runtime: onnxruntime
load: {weights: random, num_classes: 3}
data: {source: images}
preprocess: {image_size: 32}
export: {form: nhwc}
quantize: {subset_size: 4}
evaluate: {fallback: false}
benchmark: {batches: [1], rounds: 6, min_round_ms: 1, warmup: 1}
"""
CONNECTS = re.compile(r"\b(?:connect|sendto|sendmsg)\(.*sa_family=AF_INET6?\b")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A home, a temporary folder and a working folder with a recipe and images."""
    root = tmp_path_factory.mktemp("world")
    for name in ("home", "tmp", "work"):
        (root / name).mkdir()
    sides = {f"{side}/{name}": 3 for side in ("train", "val") for name in ("ant", "bee", "cat")}
    write_images(root / "work" / "images", sides)
    (root / "work" / "recipe.yaml").write_text(RECIPE)
    return root


def run(world, *arguments):
    """One command; what it connected to, where `strace` can watch it."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ
    }
    environment = {
        **kept,
        "HOME": str(world / "home"),
        "TMPDIR": str(world / "tmp"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "EDGE_CONVNEXT_CACHE": str(world / "cache"),
    }  # fmt: skip
    trace = world / "trace"
    watched = "trace=connect,sendto,sendmsg"
    watch = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", watched, "-o", str(trace)]
    command = [*(watch if can_trace() else []), sys.executable, "-c", RUN, *arguments]
    done = subprocess.run(
        command, cwd=world / "work", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if not trace.exists():
        return []
    return [
        line for line in trace.read_text(errors="replace").splitlines() if CONNECTS.search(line)
    ]


def can_trace():
    """Whether `strace` is installed, and permitted."""
    if shutil.which("strace") is None:
        return False
    return (
        subprocess.run(["strace", "-qq", "true"], capture_output=True, check=False).returncode == 0
    )


def files(folder: Path):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.slow
def test_a_build_and_its_use_leave_nothing_but_their_own_files(world):
    before = set(files(world / "work"))
    connected = run(world, "build", "--recipe", "recipe.yaml", "--out", "out", "--quiet")
    model = "out/model.int8.onnx"
    connected += run(world, "predict", model, "images/val/ant/0.png")
    if find_spec("openvino"):
        connected += run(world, "predict", model, "images/val/bee/0.png", "--runtime", "openvino")
    connected += run(world, "eval", model, "--data", "images", "--quiet")
    connected += run(world, "doctor")
    assert connected == []
    assert files(world / "home") == []
    assert files(world / "tmp") == []
    made = set(files(world / "work")) - before
    assert made
    assert all(name == "out" or name.startswith("out/") for name in made)
    assert not [name for name in made if "/." in name]
    assert {path.name for path in world.iterdir()} <= {"home", "tmp", "work", "cache", "trace"}
