import json

from edge_convnext.core.cache import Cache


def test_the_cache_is_counted_and_pruned(call, tmp_path):
    root = tmp_path / "cache"
    for key in ("a" * 64, "b" * 64):  # by builds that are over: what one uses is not pruned
        Cache(root).run("export", key, lambda folder: {"n": (folder / "x").write_text("1234")})
    _, out, _ = call("cache", "info", "--json")
    assert json.loads(out)["stages"]["export"]["entries"] == 2
    assert json.loads(out)["folder"] == str(root)
    assert "export" in call("cache", "info")[1]
    assert json.loads(call("cache", "prune", "--json")[1]) == {"removed": 0, "freed_bytes": 0}
    _, out, _ = call("cache", "prune", "--older-than-days", 0, "--json")
    assert json.loads(out)["removed"] == 2
    assert not Cache(root).holds("export", "a" * 64)


def test_one_entry_is_no_entries(call, tmp_path):
    root = tmp_path / "cache"
    Cache(root).run("export", "a" * 64, lambda folder: {"n": (folder / "x").write_text("1234")})
    rows = call("cache", "info")[1].splitlines()[1:]
    assert [row.split()[:3] for row in rows] == [["export", "1", "entry"], ["total", "1", "entry"]]
    out = call("cache", "prune", "--older-than-days", 0)[1]
    assert out.startswith("removed 1 entry, freed ")
    assert call("cache", "info")[1].splitlines()[-1].split()[:3] == ["total", "0", "entries"]
