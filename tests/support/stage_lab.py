"""A runner over a real cache, whose stages are replaced: what decides keys, and who is compared.

The stages write their name into the output, so that nothing but the arguments between them is
looked at.
"""

import re
from dataclasses import asdict, replace
from pathlib import Path

from edge_convnext.build import float_chain, int8_chain, runner
from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import ModelInfo, OnnxModel, Parity, Preprocess, Weights
from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.step import Images, Step
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.plans import Plan
from edge_convnext.networks.recipe_file import make_recipe

INFO = ModelInfo(
    "convnextv2_atto", 2, 3, ("a", "b"), Preprocess(image_size=64), "x", "0" * 64, None
)
TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 8, 8, 8), 2)
WEIGHTS = Weights(Path("w.safetensors"), TINY, INFO)
RECIPE = make_recipe(
    {
        "model": "convnextv2_atto",
        "seed": 5,
        "evaluate": {"batch": 7},
        "benchmark": {"threads": 2},
        "equalize": {"alpha": 0.5},
        "recover": {"epochs": 4},
        "quantize": {"subset_size": 9, "ignored_names": ["x"]},
    }
)
FOLDED = replace(WEIGHTS, path=Path("folded.safetensors"), folded=True)
MODEL = Step(WEIGHTS, "done", 0.0, "digest of model")
VERSIONS = {
    name: f"version of {name}"
    for name in (
        "edge-convnext", "torch", "safetensors", "onnx", "onnxscript", "onnxruntime", "onnxsim",
        "nncf", "numpy", "pillow",
    )
}  # fmt: skip
PARITY = Parity(4, 0.5, 30.0, 75.0)
PLAN = Plan("nhwc", "inner", "uint8", "qdq", "erf", "mean_quantile", (("A", "1"),))


def images(name):
    return Images(f"digest of {name}", 3, lambda: [name])


SAMPLES, CALIBRATION = images("samples"), images("calibration")


def graph(name, precision="fp32", **fields):
    model = OnnxModel(Path(f"before/{name}"), precision, "nhwc", **fields)
    return Step(model, "done", 1.0, f"digest of {name}", "earlier reason", Parity(1, 0, None, 100))


def tools(*names):
    return {name: VERSIONS.get(name, "not installed") for name in names}


REVISION = re.compile(r"[a-z]+/[0-9]+")  # of a stage: raised when its output changes


class Lab:
    """Over a real cache, with what was called with what."""

    def __init__(self, folder, monkeypatch):
        self.calls, self.fields, self.keys, self.parities, self.shown = [], [], [], [], []
        self.cache = Cache(folder / "cache")
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(runner, "stage_key", self.key)
        monkeypatch.setattr(runner, "sha256_file", lambda path: f"bytes of {path.name}")
        self.everywhere("parity_result", self.parity)
        self.everywhere("onnx_logits", lambda path, batches, _=None: ("onnx", path.name, batches))
        self.everywhere(
            "torch_logits", lambda weights, form, batches: ("torch", weights, form, batches)
        )
        self.runner = self.again()

    def everywhere(self, name, stand_in):
        for module in (runner, float_chain, int8_chain):
            if hasattr(module, name):
                self.monkeypatch.setattr(module, name, stand_in)

    def again(self, recipe=RECIPE):
        return Runner(self.cache, recipe, VERSIONS, self.track)

    def key(self, stage, **fields):
        name = stage.partition("/")[0]
        self.fields.append((name if REVISION.fullmatch(stage) else stage, fields))
        self.keys.append(stage_key(stage, **fields))
        return self.keys[-1]

    def parity(self, reference, candidate, limit=None, own_graph=False, stage=None):
        self.parities.append((reference, candidate, limit))
        return {"parity": asdict(PARITY)}

    def track(self, items, what, total=None):
        self.shown.append((what, total))
        return items

    def replace(self, module, name, make):
        """Let a stage write down what it was called with, and return what `make` says."""

        def stage(*arguments, **named):
            self.calls.append((name, arguments, named))
            output = next(one for one in arguments if isinstance(one, Path) and one.parent.is_dir())
            output.write_text(name)
            return make(output)

        self.monkeypatch.setattr(module, name, stage)


def check(lab, run, key, name, shown):
    """A stage runs once, is found again under the same key, and tells its file, parity and time."""
    first = run(lab.runner)
    second = run(lab.again())
    assert lab.fields == [key, key]
    assert lab.shown == ([(shown, 1)] if shown else [])
    assert (first.status, second.status) == ("done", "cached")
    assert (first.parity, second.parity) == (PARITY, PARITY)
    assert first.seconds > 0.0
    assert second.seconds == 0.0
    assert first.digest == second.digest
    assert first.value == second.value
    path = first.value.path
    assert path == lab.cache.root / key[0] / lab.keys[0] / name
    assert path.is_file()
    return first


QUANTIZED = graph("a.int8.onnx", "int8", placement="inner", quantized_ops=8)
REFERENCE = graph("a.onnx")
