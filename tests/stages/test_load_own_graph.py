import errno
import json

import numpy as np
import onnx
import pytest
from support.own_files import CLASSES, SIZE, Own, run_file

from edge_convnext.core.errors import LoadError
from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.stages import load_own_graph as stage
from edge_convnext.stages.load import load_weights, weights_identity

CANONICAL = "canonical.onnx"


def load(path, folder, size=None, **config):
    folder.mkdir(exist_ok=True)
    config = LoadConfig(weights=str(path), **config)
    return load_weights(config, "onnx:model", 0, folder / CANONICAL, size)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """In this process: a child takes seconds to start."""
    monkeypatch.setattr(stage, "run_isolated", lambda function, arguments, _: function(*arguments))


@pytest.fixture
def path(tmp_path):
    return Own(tail=("Softmax",)).save(tmp_path / "model.onnx")


def test_a_file_becomes_weights_that_say_where_each_setting_comes_from(path, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3})
    )
    found = load(path, tmp_path / "out")
    assert found.path == tmp_path / "out" / CANONICAL
    assert found.info.model == "onnx:model"
    assert found.info.num_classes == CLASSES
    assert found.info.preprocess.image_size == SIZE
    assert found.info.preprocess.mean == (0.5,) * 3
    assert found.info.weights_source == "model.onnx"
    origins = {fact.name: fact.origin.kind for fact in found.facts}
    assert origins["image_size"] == origins["in_channels"] == "checkpoint"
    assert origins["mean"] == "beside the weights"
    assert any("Softmax" in note for note in found.notes)
    assert found.architecture.count_params() > 0
    reopened = open_weights(found.path)
    assert (reopened.info, reopened.architecture) == (found.info, found.architecture)


def test_a_normalisation_in_the_graph_is_the_preprocessings(tmp_path):
    own = Own(uint8=True, front=(("Cast", 1), ("Div", 127.5), ("Sub", 1.0)))
    found = load(own.save(tmp_path / "model.onnx"), tmp_path / "out")
    assert found.info.preprocess.mean == pytest.approx((0.5,) * 3)
    assert found.info.preprocess.std == pytest.approx((0.5,) * 3)
    told = {fact.name: str(fact.origin) for fact in found.facts}
    assert told["mean"] == "checkpoint (the graph begins with Div, Sub)"


def test_metadata_of_any_tool_is_read(path, tmp_path):
    proto = onnx.load(path)
    names = {index: f"class {index}" for index in range(CLASSES)}
    onnx.helper.set_model_props(proto, {"names": str(names)})
    onnx.save(proto, path)
    assert load(path, tmp_path / "out").info.classes == tuple(names.values())


def test_a_free_size_is_the_flags_or_that_of_a_file_beside(tmp_path):
    path = Own(size=None).save(tmp_path / "model.onnx")
    with pytest.raises(LoadError, match=r"model.onnx: leaves .* free; pass --image-size N"):
        load(path, tmp_path / "out")
    assert load(path, tmp_path / "out", 24).info.preprocess.image_size == 24
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(
            {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 40, "width": 40}}
        )
    )
    assert load(path, tmp_path / "out").info.preprocess.image_size == 40
    assert load(path, tmp_path / "out", 24).info.preprocess.image_size == 24


def test_the_size_and_what_lies_beside_decide_the_identity(tmp_path):
    path = Own(size=None).save(tmp_path / "model.onnx")
    config = LoadConfig(weights=str(path))
    first = weights_identity(config, "onnx:model", 0, 24)
    assert weights_identity(config, "onnx:model", 5, 24) == first
    assert weights_identity(config, "onnx:model", 0, 32) != first
    (tmp_path / "config.json").write_text("{}")
    assert weights_identity(config, "onnx:model", 0, 24) != first


def test_weights_in_a_file_beside_are_part_of_the_identity(tmp_path):
    onnx.save(Own().make(), tmp_path / "model.onnx", save_as_external_data=True,
              size_threshold=0, location="model.onnx.data")  # fmt: skip
    config = LoadConfig(weights=str(tmp_path / "model.onnx"))
    first = weights_identity(config, "onnx:model", 0)
    content = bytearray((tmp_path / "model.onnx.data").read_bytes())
    content[5] ^= 1
    (tmp_path / "model.onnx.data").write_bytes(content)
    assert weights_identity(config, "onnx:model", 0) != first
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(LoadError, match="can't be read beside it"):
        weights_identity(config, "onnx:model", 0)


def test_images_in_bgr_order_are_turned(path, tmp_path):
    plain = load(path, tmp_path / "plain")
    (tmp_path / "config.json").write_text(
        json.dumps({"channel_order": "bgr", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]})
    )
    found = load(path, tmp_path / "turned")
    if not any("BGR" in note for note in found.notes):
        pytest.skip("this spelling of BGR is not read")
    shown = np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE)).astype(np.float32)
    for name in (CANONICAL, "source.onnx"):
        one = run_file(plain.path.with_name(name), shown)
        other = run_file(found.path.with_name(name), np.ascontiguousarray(shown[:, ::-1]))
        assert np.abs(one - other).max() < 1e-5
    assert found.info.preprocess.mean == (0.3, 0.2, 0.1)


@pytest.mark.parametrize(
    ("config", "words"),
    [({"num_classes": 3}, "num_classes is 5 in this file, not 3"),
     ({"in_channels": 1}, "in_channels is 3 in this file, not 1")],
)  # fmt: skip
def test_numbers_that_the_file_contradicts_are_refused(path, tmp_path, config, words):
    with pytest.raises(LoadError, match=words):
        load(path, tmp_path / "out", **config)


def test_a_rectangle_is_taken_with_its_height_first(tmp_path):
    path = Own(size=(16, 32)).save(tmp_path / "model.onnx")
    found = load(path, tmp_path / "out")
    assert (found.info.preprocess.height, found.info.preprocess.width) == (16, 32)
    (size,) = (one for one in found.facts if one.name == "image_size")
    assert (size.value, size.origin.detail) == ((16, 32), "the graph's input")


def test_a_child_that_dies_is_tried_without_the_simplifier(path, tmp_path, monkeypatch):
    asked = []

    def crash_first(function, arguments, timeout_s):
        asked.append(arguments[-1])
        if arguments[-1]:
            return IsolatedFailure("crashed with SIGSEGV", crashed=True)
        return run_isolated(function, arguments, timeout_s)

    monkeypatch.setattr(stage, "run_isolated", crash_first)
    assert load(path, tmp_path / "out").info.num_classes == CLASSES
    assert asked == [True, False]
    monkeypatch.setattr(stage, "run_isolated", lambda *_: IsolatedFailure("crashed with SIGSEGV"))
    with pytest.raises(LoadError, match=r"can't be made canonical \(crashed with SIGSEGV\)"):
        load(path, tmp_path / "out")


def test_a_child_that_runs_out_of_time_is_not_tried_twice(path, tmp_path, monkeypatch):
    asked = []

    def run_out(_function, arguments, _timeout_s):
        asked.append(arguments[-1])
        return IsolatedFailure("still running after 1200 s, so it was ended")

    monkeypatch.setattr(stage, "run_isolated", run_out)
    with pytest.raises(LoadError, match=r"can't be made canonical \(still running after 1200 s"):
        load(path, tmp_path / "out")
    assert asked == [True]


def test_without_a_child_process_the_file_and_a_remedy_are_named(path, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(stage, "run_isolated", fail)
    words = r"model.onnx: can't start a child process .*\(Cannot allocate memory\); free memory"
    with pytest.raises(LoadError, match=words):
        load(path, tmp_path / "out")


def test_what_writes_a_canonical_graph_and_what_opens_it_agree_on_its_name():
    from edge_convnext.graph.foreign import canonical
    from edge_convnext.networks.onnx_file import weights

    assert (canonical.CANONICAL, canonical.SOURCE) == (weights.CANONICAL, weights.SOURCE)
