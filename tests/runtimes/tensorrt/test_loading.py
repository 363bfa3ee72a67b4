from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes.tensorrt.loading import find_tensors, load_engine

MODE = SimpleNamespace(INPUT=0, OUTPUT=1)


class Engine:
    """Tensors by name: (mode, shape, type)."""

    def __init__(self, **tensors):
        self.tensors, self.num_io_tensors = tensors, len(tensors)

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_mode(self, name):
        return self.tensors[name][0]

    def get_tensor_shape(self, name):
        return self.tensors[name][1]

    def get_tensor_dtype(self, name):
        return SimpleNamespace(name=self.tensors[name][2])


API = SimpleNamespace(module=SimpleNamespace(TensorIOMode=MODE))
PATH = Path("m.engine")


@pytest.mark.parametrize(
    ("kind", "dtype"), [("FLOAT", np.float32), ("HALF", np.float16), ("UINT8", np.uint8)]
)
def test_images_and_logits_are_found_whatever_their_names(kind, dtype):
    engine = Engine(scores=(1, [1, 5], "FLOAT"), pixels=(0, [-1, 3, 4, 4], kind))
    images, logits = find_tensors(API, engine, PATH)
    assert (images.name, images.shape, images.dtype) == ("pixels", (-1, 3, 4, 4), np.dtype(dtype))
    assert (logits.name, logits.shape) == ("scores", (1, 5))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"a": (0, [1], "INT64"), "b": (1, [1], "FLOAT")}, "a is of type INT64"),
        (
            {"a": (0, [1], "FLOAT"), "b": (0, [1], "FLOAT"), "c": (1, [1], "FLOAT")},
            "has 2 inputs; one",
        ),
        ({"b": (1, [1], "FLOAT")}, "has 0 inputs"),
        ({"a": (0, [1], "FLOAT")}, "has no output"),
    ],
)
def test_other_engines_are_refused(tensors, words):
    with pytest.raises(InferenceError, match=words):
        find_tensors(API, Engine(**tensors), PATH)


class Validity:
    INVALID, VALID = "invalid", "valid"


class Diagnostics:
    __members__ = {"UNSUPPORTED_CC": 1, "OTHER": 2}  # noqa: RUF012


def loading(tmp_path, engine="engine", validity=("valid", 0), version_compatible=False):
    made = SimpleNamespace(
        get_engine_validity=lambda plan: validity,
        deserialize_cuda_engine=lambda plan: engine if plan == b"plan" else "none",
    )
    module = SimpleNamespace(
        Runtime=lambda logger: made,
        EngineValidity=Validity,
        EngineInvalidityDiagnostics=Diagnostics,
    )
    api = SimpleNamespace(module=module, label="TensorRT 9", has=lambda name: validity is not None)
    path = tmp_path / "m.engine"
    path.write_bytes(b"plan")
    facts = SimpleNamespace(path=path, version_compatible=version_compatible)
    return made, load_engine(api, SimpleNamespace(logger=None, last_error="it broke"), facts)


def test_an_engine_is_loaded_with_the_runtime_that_has_to_outlive_it(tmp_path):
    made, (runtime, engine) = loading(tmp_path)
    assert (runtime, engine) == (made, "engine")
    assert not hasattr(made, "engine_host_code_allowed")
    made, _ = loading(tmp_path, version_compatible=True)
    assert made.engine_host_code_allowed is True
    assert loading(tmp_path, validity=None)[1][1] == "engine"


def test_an_engine_for_another_gpu_says_why(tmp_path):
    with pytest.raises(InferenceError, match=r"TensorRT 9 can't run it here \(UNSUPPORTED_CC\)"):
        loading(tmp_path, validity=("invalid", 1))
    with pytest.raises(InferenceError, match=r"can't load it \(it broke\); build it again"):
        loading(tmp_path, engine=None)
