import importlib
import sys

import pytest

from edge_convnext.networks.own_modules.sources import digest_sources, find_sources


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "own_pack"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "net.py").write_text(
        "import json, pytest\nfrom .blocks import Block\nimport own_beside\n"
        "def make():\n    from own_pack import late\n    import own_absent.deeper\n"
    )
    (folder / "blocks.py").write_text("class Block: pass\n")
    (folder / "late.py").write_text("")
    (folder / "unused.py").write_text("")
    (tmp_path / "own_beside.py").write_text("import edge_convnext\n")
    importlib.import_module("own_pack.net")
    yield tmp_path
    for name in [one for one in sys.modules if one.startswith("own_")]:
        del sys.modules[name]


def test_it_is_what_is_imported_from_beside_also_later(package):
    names = [name for name, _ in find_sources("own_pack.net")]
    assert names == ["own_beside", "own_pack", "own_pack.blocks", "own_pack.late", "own_pack.net"]


def test_the_digest_goes_with_their_contents_alone(package):
    before = digest_sources("own_pack.net")
    (package / "own_pack" / "unused.py").write_text("x = 1\n")
    assert digest_sources("own_pack.net") == before
    (package / "own_beside.py").write_text("import edge_convnext  # changed\n")
    assert digest_sources("own_pack.net") != before


def test_a_module_without_a_file_has_none():
    assert find_sources("sys") == []


def test_of_an_installed_module_it_is_that_alone():
    assert [name for name, _ in find_sources("json.decoder")] == ["json.decoder"]
