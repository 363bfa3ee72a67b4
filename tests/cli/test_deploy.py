import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_convnext.devices.deploy import facts, write


@pytest.fixture
def deployed(call, monkeypatch):
    """Deploy with stand-ins for what chooses and writes: what they got, stdout and stderr."""
    seen = {}
    warning = None

    def write_deployment(folder, kind, out, model, **options):
        seen.update(folder=folder, kind=kind, out=out, model=model, **options)
        return [Path("run.py"), Path("models/1/model.onnx")]

    def choose_for(kind, folder, model):
        seen["asked"] = (kind, folder, model)
        return SimpleNamespace(path=Path("build/a.engine"), why="the verdict\x1b", warning=warning)

    monkeypatch.setattr(write, "choose_for", choose_for)
    monkeypatch.setattr(write, "write_deployment", write_deployment)
    monkeypatch.setattr(
        facts, "read_deployable", lambda *read: SimpleNamespace(label="int8", read=read)
    )

    def run(*flags, warned=None):
        nonlocal warning
        warning = warned
        code, out, err = call("deploy", "build", "--out", "there", *flags)
        assert code == 0
        assert err == (f"warning: build: {warned}\n" if warned and "--json" not in flags else "")
        return seen, out

    return run


def test_what_is_deployed_is_told_with_why_and_its_files(deployed):
    seen, out = deployed("--format", "triton", "--model", "m.onnx", "--max-batch", 4)
    assert seen["asked"] == ("triton", Path("build"), Path("m.onnx"))
    assert seen["model"].read == (Path("build/a.engine"), Path("build"))
    assert (seen["kind"], seen["out"]) == ("triton", Path("there"))
    assert (seen["max_batch"], seen["queue_delay_us"]) == (4, 100)
    assert out.splitlines() == [
        r"build/a.engine (int8): the verdict\x1b",
        str(Path("there/run.py")),
        str(Path("there/models/1/model.onnx")),
    ]


def test_json_tells_the_same(deployed):
    seen, out = deployed("--format", "python", "--queue-delay-us", 5, "--json")
    assert (seen["asked"][2], seen["max_batch"], seen["queue_delay_us"]) == (None, 8, 5)
    assert json.loads(out) == {
        "folder": "there", "model": "build/a.engine", "is": "int8", "why": "the verdict\x1b",
        "files": ["run.py", "models/1/model.onnx"],
    }  # fmt: skip


def test_a_doubt_about_the_choice_is_told_on_stderr_or_in_the_document(deployed):
    _, out = deployed("--format", "python", warned="not measured")
    assert "not measured" not in out
    _, out = deployed("--format", "python", "--json", warned="not measured")
    assert json.loads(out)["warning"] == "not measured"
