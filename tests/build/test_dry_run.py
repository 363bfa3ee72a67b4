import pytest

from edge_convnext.build.dry_run import _Looking, _NotMadeError, look_ahead
from edge_convnext.build.settle import prepare
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.progress import untracked
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.recipe_file import make_recipe

FIELDS = {"model": "atto", "load": {"weights": "random"}, "preprocess": {"image_size": 32},
          "targets": ["cpu"], "runtime": "onnxruntime"}  # fmt: skip


def files_of(root):
    """Name, size and time of every file: what a look must not change."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def put(root, stage, key, text="x"):
    def make(folder):
        (folder / "file").write_text(text)
        return {}

    return Cache(root).run(stage, key, make)


def test_what_is_there_is_found_and_neither_made_nor_touched(tmp_path):
    made = put(tmp_path, "fold", "a" * 64)
    before = files_of(tmp_path)
    looking = _Looking(tmp_path)

    def never(folder):
        raise AssertionError(folder)

    assert looking.run("fold", "a" * 64, never).digests == made.digests
    with pytest.raises(_NotMadeError, match="export"):
        looking.run("export", "a" * 64, never)
    looking.forget("fold", "a" * 64)
    looking.unfinished("b" * 64)
    assert files_of(tmp_path) == before
    (made.folder / "file").write_text("damaged")
    with pytest.raises(_NotMadeError, match="fold"):
        looking.run("fold", "a" * 64, never)


def test_a_chain_ends_at_what_is_not_there(tmp_path):
    put(tmp_path, "fold", "a" * 64)
    looking = _Looking(tmp_path)

    def ask():
        looking.run("fold", "a" * 64, lambda _: {})
        looking.run("export", "a" * 64, lambda _: {})

    found = looking.chain("conv", ask)
    assert (found.name, found.cached, found.first_made) == ("conv", ("fold",), "export")
    assert looking.chain("none", lambda: None).first_made is None


def test_with_nothing_cached_it_is_said_what_would_be_read(tmp_path):
    found = look_ahead(make_recipe(FIELDS), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert [(one.cached, one.first_made) for one in found.chains] == [((), "load")]
    assert {one.name for one in found.settings} >= {"classes", "image_size", "mean"}
    assert any("every graph is made" in one for one in found.further)
    assert found.to_json()["schema"] == "edge-convnext/dry-run/1"
    demo = look_ahead(make_recipe({"data": {"source": "digits"}}), tmp_path / "cache")
    assert "trained first" in demo.notes[0]


def test_what_a_build_began_is_found_again(tmp_path):
    recipe, facts = make_recipe(FIELDS), environment()
    cache = Cache(tmp_path)
    prepare(recipe, cache, facts["versions"], untracked, fold_only=True)
    before = files_of(tmp_path)
    found = look_ahead(recipe, tmp_path)
    assert files_of(tmp_path) == before
    reading, *graphs = found.chains
    assert reading.first_made is None
    assert graphs
    for one in graphs:
        assert (one.cached, one.first_made) == (("fold",), "export")
    assert any("INT8 nhwc" in one.name for one in graphs)


def test_what_a_build_would_refuse_is_refused(tmp_path):
    fields = {**FIELDS, "load": {"weights": str(tmp_path / "missing.pth")}}
    with pytest.raises(EdgeConvNextError, match=r"missing\.pth: no such file"):
        look_ahead(make_recipe(fields), tmp_path / "cache")
