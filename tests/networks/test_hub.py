import pytest

pytest.importorskip("huggingface_hub", reason="the build extra is not installed")

import huggingface_hub

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.hub import HubName, fetch, read_hub_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("owner/name", HubName("owner/name")),
        ("owner/name.v1@main", HubName("owner/name.v1", "main")),
        ("name", None),
        ("a/b/c", None),
        ("../name", None),
        ("owner/..", None),
        ("owner/na me", None),
        ("owner/name@a b", None),
    ],
)
def test_a_name_is_read(text, name):
    assert read_hub_name(text) == name


def test_a_file_of_the_cache_is_taken_without_asking(monkeypatch, tmp_path):
    kept = tmp_path / "commit" / "b.bin"

    def look(repository, file, revision):
        return str(kept) if (repository, file, revision) == ("o/n", "b.bin", "main") else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", look)
    monkeypatch.setattr(huggingface_hub, "HfApi", None)
    found = fetch(HubName("o/n"), ("a.bin", "b.bin"))
    assert (found.main, found.name) == (kept, "o/n@commit")


def test_without_a_network_it_is_told_what_to_do(monkeypatch):
    class Api:
        def model_info(self, *_args, **_options):
            raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_a, **_k: None)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    with pytest.raises(LoadError, match=r"\(no route\).*hf download o/n --revision v1") as caught:
        fetch(HubName("o/n", "v1"), ("a.bin",))
    assert "\n" not in str(caught.value)
