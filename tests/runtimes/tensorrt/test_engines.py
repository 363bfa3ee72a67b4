from pathlib import Path

import onnx
import pytest
from support.tiny_qdq import quantized_product

from edge_convnext.core.errors import InferenceError
from edge_convnext.graph.qdq import Wiring
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.tensorrt import engines


def test_engines_are_of_one_gpu_and_their_types_were_chosen_when_they_were_built():
    assert (engines.LOADS, engines.FORMATS, engines.SETTINGS) == ("engines", ("qdq",), ())
    assert engines.supports("f32")
    assert not engines.supports("bf16")
    assert engines.why_not("blocks", 20) is None


def test_an_engine_has_no_times_of_its_layers(tmp_path):
    with pytest.raises(InferenceError, match="are listed by `edge-convnext inspect`"):
        engines.load_profiler(Path("m.engine"), RuntimeOptions(), tmp_path)


@pytest.mark.parametrize("target", ["rtx", "tensorrt10"])
def test_rules_are_those_of_the_version(target):
    proto = quantized_product(activation_zero=5)
    assert isinstance(proto, onnx.ModelProto)
    assert [one.rule for one in engines.lint(proto, Wiring(proto), target)] == ["zero-point"]
    clean = quantized_product()
    assert list(engines.lint(clean, Wiring(clean), target)) == []


def test_an_engine_is_loaded_by_its_runner(monkeypatch):
    made = []
    monkeypatch.setattr(engines, "EngineRunner", lambda *arguments: made.append(arguments))
    options = RuntimeOptions(batch=1)
    engines.load(Path("m.engine"), options)
    assert made == [(Path("m.engine"), options)]
