import json

import pytest
from support import open_family

from edge_convnext.networks.conv2former.family import Conv2FormerShape
from edge_convnext.networks.convnext.sizes import find_architecture


def test_models_tells_sizes_and_who_published_what(call):
    _, out, _ = call("models", "--json", "--image-size", 224)
    rows = {row["model"]: row for row in json.loads(out)["models"]}
    assert rows["convnextv2_atto"]["params"] == 3_708_400
    assert rows["convnextv2_atto"]["published_top1_pct"] == 76.64
    assert rows["convnextv1_atto"]["published_top1_pct"] is None
    assert 4.4e9 < rows["convnextv2_tiny"]["macs"] < 4.5e9
    _, text, _ = call("models")
    assert all(name in text for name in rows)


def test_macs_are_counted_of_a_rectangle_too(call):
    _, out, _ = call("models", "--json", "--image-size", "64,96")
    told = json.loads(out)
    assert told["image_size"] == [64, 96]
    macs = {row["model"]: row["macs"] for row in told["models"]}
    assert macs["convnextv2_atto"] == find_architecture("atto").count_macs((64, 96))
    _, text, _ = call("models", "--image-size", "64x96")
    assert "64 x 96 px" in text
    assert json.loads(call("models", "--json", "--image-size", "64,64")[1])["image_size"] == 64


def test_models_of_every_family_are_counted_and_open_ones_are_told_how_to_name(call, monkeypatch):
    pytest.importorskip("torch", reason="the build extra is not installed")
    open_family.install(monkeypatch)
    _, out, _ = call("models", "--json")
    told = json.loads(out)
    rows = {row["model"]: row for row in told["models"]}
    assert rows["conv2former_n"]["family"] == "Conv2Former"
    assert rows["conv2former_n"]["params"] == 14_992_840
    assert 2.3e9 < rows["conv2former_n"]["macs"] < 2.4e9
    assert told["further"]["open"] == "open:NAME, anything"


def test_without_torch_what_a_module_tells_is_left_out(call, monkeypatch):
    def missing(*_):
        raise ImportError("torch")

    for name in ("count_params", "count_macs"):
        monkeypatch.setattr(Conv2FormerShape, name, missing)
    _, out, _ = call("models", "--json")
    rows = {row["model"]: row for row in json.loads(out)["models"]}
    assert rows["conv2former_n"]["params"] is rows["conv2former_n"]["macs"] is None
    assert rows["convnextv2_atto"]["params"] == 3_708_400
