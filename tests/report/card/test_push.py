import sys

import pytest
from support.gate_builds import make_build

from edge_convnext.core.errors import ArtifactError, MissingDependencyError, RecipeError
from edge_convnext.report.card.push import check_repository, push_card
from edge_convnext.report.card.write import make_card


class Hub:
    """Stands in for HfApi, and sends nothing."""

    def __init__(self, error=None):
        self.error, self.asked = error, []

    def __call__(self):
        return self

    def create_repo(self, name, **options):
        self.asked.append((name, options))
        if self.error:
            raise self.error

    def upload_folder(self, **options):
        self.asked.append(options)
        return "https://hub.invalid/commit"


@pytest.fixture
def card(tmp_path):
    make_build(tmp_path / "a", 40)
    return make_card(tmp_path / "a")


def test_a_private_repository_gets_the_card_and_the_models_alone(card, monkeypatch):
    library = pytest.importorskip("huggingface_hub", reason="the build extra is not installed")
    hub = Hub()
    monkeypatch.setattr(library, "HfApi", hub)
    assert push_card(card, "me/atto") == "https://hub.invalid/commit"
    (name, made), sent = hub.asked
    assert (name, made) == ("me/atto", {"private": True, "exist_ok": True})
    assert sent["allow_patterns"] == ["README.md", "perf.yaml", "numerics.yaml", "model.int8.onnx"]
    assert (sent["repo_id"], sent["folder_path"]) == ("me/atto", card.folder)
    push_card(card, "me/atto", public=True)
    assert hub.asked[2][1]["private"] is False


def test_a_refusal_of_the_hub_is_one_line(card, monkeypatch):
    library = pytest.importorskip("huggingface_hub", reason="the build extra is not installed")
    monkeypatch.setattr(library, "HfApi", Hub(ValueError("401 no\ntoken\x1b[2J")))
    with pytest.raises(ArtifactError, match="me/atto: could not be pushed") as error:
        push_card(card, "me/atto")
    assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match="needs huggingface_hub"):
        push_card(card, "me/atto")


@pytest.mark.parametrize("name", ["atto", "a/b/c", "../b", "a b/c", "https://x/y"])
def test_what_is_no_repository_is_refused(name, card):
    with pytest.raises(RecipeError, match="pass OWNER/NAME"):
        check_repository(name)
    with pytest.raises(RecipeError, match="pass OWNER/NAME"):
        push_card(card, name)
