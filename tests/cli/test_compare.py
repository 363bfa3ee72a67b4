import json

from support.gate_builds import make_build


def test_the_counts_are_printed_first_and_the_files_written(call, tmp_path):
    make_build(tmp_path / "a", 400, lost=4)
    make_build(tmp_path / "b", 400, lost=44)
    files = ("--html", "c.html", "--markdown", "c.md", "--json", "c.json")
    code, out, err = call("compare", "a", "b", *files)
    assert (code, err) == (0, "")
    assert out.startswith("Better, same, worse\nTop-1: 99.00 % in A, 89.00 % in B, -10.00 pp")
    assert json.loads((tmp_path / "c.json").read_text())["pairs"][0]["counts"]["worse"] > 0
    assert (tmp_path / "c.md").read_text().startswith("### edge-convnext compare")
    assert (tmp_path / "c.html").read_text().startswith("<!doctype html>")


def test_bad_input_is_one_line(call, tmp_path):
    make_build(tmp_path / "a", 40)
    for arguments in (("a",), ("a", "missing"), ("a", "a", "--json", "a/report.json")):
        code, out, err = call("compare", *arguments)
        assert (code, out) == (3, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    code, _, err = call("compare", "a", "a", "--html", "a/report.json/x.html")
    assert code == 3
    assert "choose another place for it" in err


def test_no_output_is_lost_and_no_file_of_a_build_replaced(call, tmp_path):
    make_build(tmp_path / "a", 40)
    for flags, why in (
        (("--html", "x", "--json", "./x"), "two outputs"),
        (("--html", "a/predictions.csv"), "is a file of the build"),
        (("--json", "nowhere/x.json"), "there is no folder nowhere"),
    ):
        code, out, err = call("compare", "a", "a", *flags)
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert why in err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a"]


def test_what_is_no_report_is_told_to_be_none(call, tmp_path):
    """`build again` was the advice on a comparison's own JSON, and on a model."""
    make_build(tmp_path / "a", 40)
    assert call("compare", "a", "a", "--json", "c.json")[0] == 0
    (tmp_path / "j.json").write_text('{"a": 1}')
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08\xff")
    for name, kind in (
        ("c.json", "its schema is 'edge-convnext/comparison/1'"),
        ("j.json", "its schema is None"),
        ("model.onnx", "it is not JSON"),
    ):
        for command in (("compare", "a", name), ("gate", name)):
            code, out, err = call(*command)
            assert (code, out, err.count("\n")) == (3, "", 1)
            assert err.startswith(f"error: {name}: not a report")
            assert kind in err
            assert "build again" not in err
