"""A new stage is one file and few edits: a toy runs in the real runner, and in a whole build.

What CONTRIBUTING.md ("How to add a stage") lists is done here, to a copy of the package.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import toy_stage
from support.paths import ROOT
from support.tiny_graph import make_images, write_graph

from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ExportError
from edge_convnext.core.progress import untracked
from edge_convnext.core.step import Images, Step
from edge_convnext.networks.recipe_file import make_recipe

SAMPLES = Images("samples", 4, lambda: [make_images(4)])


@pytest.fixture
def runner(tmp_path):
    return Runner(Cache(tmp_path / "cache"), make_recipe({}), {"onnx": "1"}, untracked)


@pytest.fixture
def model(tmp_path):
    path = write_graph(tmp_path / "tiny.onnx")
    return Step(OnnxModel(path, "fp32", "raw"), "done", 0.0, "digest")


def run(runner, model, make=toy_stage.sign_graph):
    return runner.graph(
        toy_stage.STAGE,
        model.value,
        lambda output: make(model.value, output),
        file="tiny.signed.onnx",
        what="signing",
        compare_with=model.value,
        samples=SAMPLES,
        key={"model": model.digest},
    )


def author_of(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}.get("author")


def test_the_runner_keys_a_stage_by_its_value_alone_and_finds_it_again(runner, model):
    first = run(runner, model)
    assert (first.status, first.stage, first.parity.n_images) == ("done", toy_stage.STAGE, 4)
    assert first.parity.max_abs_err == 0.0
    assert author_of(first.value.path) == "toy"
    assert first.value.path.parent.parent == runner.cache.root / "sign"

    def fail(*_):
        raise AssertionError("ran again")

    second = run(runner, model, fail)
    assert (second.status, second.digest, second.value) == ("cached", first.digest, first.value)
    other = Runner(runner.cache, runner.recipe, {"onnx": "2"}, untracked)
    with pytest.raises(AssertionError, match="ran again"):
        run(other, model, fail)


def test_a_stage_that_changes_the_logits_past_its_limit_is_refused_and_not_kept(runner, model):
    def spoil(before, output):
        made = toy_stage.sign_graph(before, output)
        proto = onnx.load(output)
        (weight,) = [one for one in proto.graph.initializer if one.name == "weight"]
        values = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
        weight.CopyFrom(onnx.numpy_helper.from_array(values, "weight"))
        onnx.save(proto, output)
        return made

    with pytest.raises(ExportError, match="logits differ"):
        run(runner, model, spoil)
    assert run(runner, model).status == "done"


# What a stage needs beside its own file: where, before which text, and what.
STEP = '''
def sign_step(runner: Runner, model: Step[OnnxModel], samples: Images) -> Step[OnnxModel]:
    """Say who made the graph."""
    before = model.value
    return runner.graph(
        sign.STAGE,
        before,
        lambda output: sign.sign_graph(before, output),
        file=before.path.name.replace(".onnx", ".signed.onnx"),
        what="signing",
        compare_with=before,
        samples=samples,
        key={"model": model.digest},
    )


'''
EDITS = {
    "build/float_chain.py": [
        ("if TYPE_CHECKING:", "from edge_convnext.stages import sign\n\n"),
        (
            "    return tuple(steps)",
            "    steps.append(sign_step(runner, latest(steps), samples))\n",
        ),
        ("def approximate_step(", STEP),
    ],
    "report/stages.py": [
        ('    "approximate",\n    "equalize",', '    "sign",\n'),
        ('"recover", "typed")  # a report', '"sign", '),
    ],
}
# One form in one runtime, as small as they come; two builds in one cache.
BUILD = """
import json, sys
from pathlib import Path
import edge_convnext
from edge_convnext.core.cache import Cache
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report import contract

schema = Path(contract.__file__).with_name("report.schema.json")
schema.write_text(contract.schema_json(), encoding="utf-8")
recipe = make_recipe({
    "precision": "fp32", "targets": ["cpu"], "runtime": "onnxruntime",
    "load": {"weights": "random", "num_classes": 10}, "preprocess": {"image_size": 32},
    "fold": {"enabled": False}, "simplify": {"enabled": False},
    "benchmark": {"batches": [1], "rounds": 1, "min_round_ms": 1, "warmup": 1},
})
for out in ("first", "second"):
    edge_convnext.build(recipe, out, cache=Cache(Path("cache")))
"""


@pytest.mark.slow
def test_a_build_with_a_new_stage_runs_it_caches_it_and_reports_it(tmp_path):
    package = shutil.copytree(ROOT / "edge_convnext", tmp_path / "edge_convnext")
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    before = content(package)
    shutil.copy(toy_stage.__file__, package / "stages" / "sign.py")
    for name, edits in EDITS.items():
        text = (package / name).read_text(encoding="utf-8")
        for anchor, inserted in edits:
            assert text.count(anchor) == 1, (name, anchor)
            text = text.replace(anchor, inserted + anchor)
        (package / name).write_text(text, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=tmp_path, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
         text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    after = content(package)
    changed = {path for path in after.keys() | before.keys() if after.get(path) != before.get(path)}
    assert changed == {"stages/sign.py", *EDITS, "report/report.schema.json"}
    assert len(changed) <= 5
    for out, status in (("first", "done"), ("second", "cached")):
        report = json.loads((tmp_path / out / "report.json").read_text(encoding="utf-8"))
        stages = {stage["name"]: stage for stage in report["stages"]}
        assert list(stages)[3:6] == ["simplify", "sign", "approximate"]
        assert stages["sign"]["status"] == status
        assert stages["sign"]["parity"]["max_abs_err"] == 0.0
        assert stages["sign"]["artifact"]["path"] == "model.fp32.onnx"
        assert author_of(tmp_path / out / "model.fp32.onnx") == "toy"
    # What the schema says is what the report has.
    assert '"sign"' in (package / "report" / "report.schema.json").read_text(encoding="utf-8")


def content(package: Path) -> dict[str, bytes]:
    return {
        path.relative_to(package).as_posix(): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
