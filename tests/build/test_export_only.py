import numpy as np
import onnx
import pytest

from edge_convnext.build.export_only import export_float
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ArtifactError
from edge_convnext.measure.model import load_model
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.runtimes.metadata import read_metadata
from edge_convnext.stages import simplify

FIELDS = {"model": "atto", "load": {"weights": "random"}, "preprocess": {"image_size": 32}}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.mark.slow
def test_the_graph_is_float_checked_and_read_by_the_other_commands(cache, tmp_path):
    read = []
    recipe = make_recipe({**FIELDS, "export": {"form": "conv", "batch": 2}})
    made = export_float(recipe, tmp_path / "m.onnx", cache=cache, on_read=read.append)
    assert (made.form, made.batch, made.opset) == ("conv", 2, 20)
    assert made.size_bytes == made.path.stat().st_size
    assert made.parity.max_abs_err < 1e-3
    assert made.parity.n_images == 32
    assert made.simplified is None
    assert len(read) == 1
    facts = read_metadata(made.path)
    assert facts.info.preprocess.image_size == 32
    assert load_model(made.path, "onnxruntime").info.num_classes == 1000
    assert [one.name for one in made.path.parent.iterdir()] == ["m.onnx"]


@pytest.mark.slow
def test_what_is_told_is_of_the_file_that_was_written(tmp_path, monkeypatch):
    really = simplify.simplify

    def shift(model, batch, config, output):
        outcome = really(model, batch, config, output)
        proto = onnx.load(output)
        bias = proto.graph.node[-1].input[2]
        held = next(one for one in proto.graph.initializer if one.name == bias)
        held.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(held) + shifted, bias)
        )
        onnx.save(proto, output)
        return outcome

    monkeypatch.setattr(simplify, "simplify", shift)
    recipe = make_recipe({**FIELDS, "export": {"form": "conv"}})
    shifted = np.float32(3e-4)
    made = export_float(recipe, tmp_path / "m.onnx", cache=Cache(tmp_path / "cache"))
    assert made.parity.max_abs_err == pytest.approx(3e-4, rel=0.1)


@pytest.mark.slow
def test_without_folds_and_simplification_it_is_the_network_as_it_came(cache, tmp_path):
    recipe = make_recipe({**FIELDS, "fold": {"enabled": False}, "simplify": {"enabled": False}})
    made = export_float(recipe, tmp_path / "m.onnx", cache=cache)
    assert made.form == "raw"
    assert made.simplified == "--no-simplify"


def test_a_place_that_can_not_be_written_is_refused_before_any_work(cache, tmp_path):
    recipe = make_recipe(FIELDS)
    with pytest.raises(ArtifactError, match=r"is a folder; name a file in it, such as .*"):
        export_float(recipe, tmp_path, cache=cache)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtifactError, match="can't be written"):
        export_float(recipe, tmp_path / "file" / "m.onnx", cache=cache)
    load = recipe.load.model_copy(update={"weights": str(tmp_path / "file")})
    own = recipe.model_copy(update={"load": load})
    with pytest.raises(ArtifactError, match="is read by this command"):
        export_float(own, tmp_path / "file", cache=cache)
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "images.csv").write_text("path,label")
    data = recipe.data.model_copy(update={"source": str(tmp_path / "images.csv")})
    with pytest.raises(ArtifactError, match="is read by this command"):
        export_float(recipe.model_copy(update={"data": data}), tmp_path / "images.csv", cache=cache)
