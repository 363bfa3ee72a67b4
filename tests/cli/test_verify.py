import json
from types import SimpleNamespace

import pytest
from support.gate_builds import make_build

from edge_convnext.report import manifest


@pytest.fixture
def build(tmp_path):
    make_build(tmp_path / "build", n=20)
    return tmp_path / "build"


def test_a_build_as_it_was_written_is_counted_and_with_verbose_listed(call, build):
    assert call("verify", build) == (0, "3 files unchanged\n", "")
    code, out, err = call("verify", build, "--verbose")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 4
    assert "unchanged  predictions.csv\n" in out
    assert {one["state"] for one in json.loads(call("verify", build, "--json")[1])["files"]} == {
        "unchanged"
    }


def test_a_changed_file_is_exit_code_3_and_a_line_of_its_own(call, build):
    (build / "model.int8.onnx").write_bytes(b"x")
    code, out, err = call("verify", build)
    assert (code, out) == (3, "changed    model.int8.onnx\n2 of 3 files unchanged\n")
    assert err == f"error: {build / 'model.int8.onnx'}: changed since the build; build again\n"
    (build / "predictions.csv").unlink()
    assert " since the build and 1 more; build again\n" in call("verify", build)[2]


def test_another_build_is_compared_file_by_file(call, build, tmp_path):
    make_build(tmp_path / "same", n=20)
    code, out, _ = call("verify", build, "--same-as", tmp_path / "same")
    assert code == 0
    assert "identical" in out
    make_build(tmp_path / "other", n=21)
    code, out, err = call("verify", build, "--same-as", tmp_path / "other")
    assert (code, err) == (1, "")
    assert "different  predictions.csv" in out
    code, out, _ = call("verify", build, "--same-as", tmp_path / "other", "--json")
    assert code == 1
    assert {"files", "comparison"} == set(json.loads(out))


@pytest.mark.parametrize(
    ("state", "code"), [("identical", 0), ("expected", 0), ("different", 1), ("missing", 1)]
)
def test_what_need_not_differ_decides(call, build, monkeypatch, state, code):
    found = (SimpleNamespace(state=state, path="nowhere", reason=None),)
    monkeypatch.setattr(manifest, "compare_builds", lambda *_: found)
    found_code, out, _ = call("verify", build, "--same-as", build, "--verbose")
    assert found_code == code
    assert f"nowhere: not in {build} and {build}" in out


def test_what_is_made_from_the_report_need_not_be_built_again(call, build):
    (build / "report.md").write_text("tables")
    manifest.write_manifest(build, [build / "report.json", build / "report.md"])
    (build / "report.md").write_text("edited")
    told = f"{build / 'report.md'}: changed since the build; make it again with `edge-convnext"
    assert told in call("verify", build)[2]
    (build / "report.json").unlink()
    assert " and 1 more; build again" in call("verify", build)[2]
