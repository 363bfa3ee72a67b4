import json
from pathlib import Path

from support.example_report import example_report

from edge_convnext.build import amend


def test_only_what_is_stated_changes_the_builds_recipe(call, monkeypatch):
    seen = []

    def recover_build(folder, overrides, out, track):
        seen.append((folder, overrides, out))
        return example_report()

    monkeypatch.setattr(amend, "recover_build", recover_build)
    code, out, err = call("recover", "build", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["schema"] == "edge-convnext/report/3"
    assert "Verdict" in call("recover", "build")[1]
    call(
        "recover", "build", "--weights", "w.pth", "--data", "d", "--images", 50, "--epochs", 2,
        "--lr", "1e-4", "--out", "other",
    )  # fmt: skip
    assert seen[:2] == [(Path("build"), {}, None)] * 2
    stated = {
        "load.weights": "w.pth", "data.source": "d", "recover.images": 50, "recover.epochs": 2,
        "recover.lr": 1e-4,
    }  # fmt: skip
    assert seen[2] == (Path("build"), stated, Path("other"))
