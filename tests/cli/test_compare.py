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
