"""Every function for users takes a path as a `str`, or as anything that is one."""

from __future__ import annotations

import inspect
import os
import re
from importlib import import_module

import numpy as np
import pytest
from support.paths import ROOT

pytest.importorskip("torch", reason="the build extra is not installed")

from support.small_exports import TINY, export

import edge_convnext
from edge_convnext.build import pipeline
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.convnext.build import random_state

STAGES = ROOT / "edge_convnext/stages/README.md"


def stage_functions():
    """As the README of the stages lists them."""
    text = STAGES.read_text(encoding="utf-8")
    listed = text.partition("Each stage is a plain function")[2].partition("\n\n")[0]
    names = re.findall(r"`([\w.]+)\.(\w+)`", listed.replace("`edge_convnext.stages`", ""))
    assert len(names) > 15
    return [
        getattr(
            import_module("edge_convnext." + (module if "." in module else f"stages.{module}")),
            name,
        )
        for module, name in names
    ]


def public_functions():
    own = [getattr(edge_convnext, name) for name in edge_convnext.__all__]
    functions = [one for one in own if inspect.isfunction(one)]
    methods = [
        edge_convnext.Report.read, edge_convnext.Report.write,
        edge_convnext.Model.predict, edge_convnext.Model.answer,
    ]  # fmt: skip
    return [*functions, *methods, *stage_functions()]


@pytest.mark.parametrize("function", public_functions(), ids=lambda one: one.__qualname__)
def test_no_function_for_users_takes_a_path_object_alone(function):
    for name, parameter in inspect.signature(function).parameters.items():
        said = str(parameter.annotation)
        if re.search(r"\bPath\b", said):
            assert "str" in said, f"{function.__qualname__}({name}: {said})"


class Named:
    """A path of somebody else's."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


@pytest.mark.parametrize("kind", [str, Named])
def test_stages_write_where_a_text_says(tmp_path, kind):
    from edge_convnext.measure.model import load_model
    from edge_convnext.runtimes.lint import lint
    from edge_convnext.runtimes.metadata import read_metadata
    from edge_convnext.stages.approximate import use_tanh_gelu
    from edge_convnext.stages.to_float16 import halve_body
    from edge_convnext.stages.to_opset17 import use_opset_17
    from edge_convnext.stages.to_uint8_images import use_uint8_images

    made = export(random_state(TINY, 0), "linear", tmp_path)
    model = OnnxModel(kind(made.path), "fp32", "linear")
    for number, stage in enumerate((use_tanh_gelu, halve_body, use_opset_17, use_uint8_images)):
        output = tmp_path / f"{number}.onnx"
        written = stage(model, kind(output))
        assert written.path == output
        assert read_metadata(output).info.model == "convnextv2_atto"
    assert lint(kind(made.path), "rtx") == lint(made.path, "rtx")
    assert load_model(kind(made.path)).info == read_metadata(made.path).info


@pytest.mark.parametrize("kind", [str, Named])
def test_a_build_takes_a_text_for_its_folder_and_a_path_in_its_recipe(tmp_path, monkeypatch, kind):
    asked = []
    monkeypatch.setattr(pipeline, "environment", lambda: {"versions": {}, "fingerprint": ""})
    monkeypatch.setattr(pipeline, "prepare", lambda *_, **__: "prepared")
    monkeypatch.setattr(pipeline, "finish", lambda *given: asked.append(given[2]))
    recipe = edge_convnext.load_recipe("potato", {"data.source": Named(tmp_path / "d.csv")})
    assert recipe.data.source == os.fspath(tmp_path / "d.csv")
    edge_convnext.build(recipe, kind(tmp_path / "out"), cache=_NoCache())
    assert asked == [tmp_path / "out"]
    (tmp_path / "mine.yaml").write_text("model: convnextv2_femto\n")
    assert edge_convnext.load_recipe(kind(tmp_path / "mine.yaml")).model == "convnextv2_femto"
    with pytest.raises(RecipeError, match="no recipe"):
        edge_convnext.load_recipe(kind(tmp_path / "none.yaml"))


class _NoCache:
    def guarded(self):
        return np.errstate()  # any context will do
