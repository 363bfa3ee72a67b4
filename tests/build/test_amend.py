import json
from types import SimpleNamespace

import pytest
from support.gate_builds import make_build

from edge_convnext.build import amend as amending
from edge_convnext.build.amend import rank_build, recover_build
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ArtifactError
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report


@pytest.mark.parametrize("amend", [rank_build, recover_build])
def test_a_folder_without_a_build_is_refused_and_nothing_is_made(tmp_path, amend):
    with pytest.raises(ArtifactError, match=r"report\.json: No such file"):
        amend(tmp_path / "none", cache=Cache(tmp_path / "cache"))
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_was_changed_is_not_ranked(tmp_path):
    folder = make_build(tmp_path / "build").parent
    (folder / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx"):
        rank_build(folder, Cache(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_another_graph_than_the_reports_is_told_without_a_guess_at_the_cause(tmp_path):
    step = SimpleNamespace(digest="other")
    lineage = SimpleNamespace(plan=SimpleNamespace(label="conv.inner"), at=lambda stage: step)
    prepared = SimpleNamespace(graphs=SimpleNamespace(quantized=[lineage]))
    report = SimpleNamespace(stage=lambda name: SimpleNamespace(variants=()))
    with pytest.raises(ArtifactError) as caught:
        amending._rank_graphs(tmp_path, report, prepared)
    assert str(caught.value) == (
        f"{tmp_path}: the INT8 graph conv.inner differs from the one in the report (tool versions, "
        "data or machine may differ); build again first"
    )


@pytest.mark.parametrize("weights", ["timm", "timm@abc", "in1k", "random", "hf:owner/name", None])
def test_weights_that_are_no_path_are_not_looked_for_as_one(tmp_path, weights):
    recipe = make_recipe({"load": {"weights": weights}})
    amending._require_files(tmp_path, recipe)


@pytest.mark.parametrize(
    ("flag", "fields"),
    [("--weights", {"load": {"weights": "gone.pth"}}), ("--data", {"data": {"source": "gone"}})],
)
def test_files_that_are_gone_are_told_with_their_flag(tmp_path, flag, fields):
    with pytest.raises(ArtifactError, match=f"was built from gone.* not here; pass {flag}, or"):
        amending._require_files(tmp_path, make_recipe(fields))


@pytest.mark.parametrize("label", ["release 1.2", None])
def test_a_build_keeps_its_label_when_it_is_fine_tuned(tmp_path, monkeypatch, label):
    """The commit of the folder that one happens to stand in says nothing of it."""
    folder = make_build(tmp_path / "build").parent
    path = folder / "report.json"
    path.write_text(path.read_text().replace('"label": null', json.dumps({"label": label})[1:-1]))
    assert Report.read(path).label == label
    prepared = SimpleNamespace(unrecovered=None)
    monkeypatch.setattr(amending, "prepare", lambda *args: prepared)
    monkeypatch.setattr(amending, "finish", lambda *args: args)
    stated = {"load.weights": "random", "data.source": "digits"}
    assert recover_build(folder, stated, cache=Cache(tmp_path / "cache"))[4] == label


def test_a_new_folder_among_the_images_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    stated = {"data.source": str(tmp_path / "images"), "load.weights": "random"}
    folder = make_build(tmp_path / "build").parent
    with pytest.raises(ArtifactError, match="choose an --out outside of the data"):
        recover_build(folder, stated, tmp_path / "images" / "out", cache=Cache(tmp_path / "cache"))
    assert not list((tmp_path / "images").iterdir())
