import csv

from support.gate_builds import make_build


def test_the_table_is_printed_and_the_files_are_written(call, tmp_path):
    make_build(tmp_path / "builds/a", 40, label="one")
    make_build(tmp_path / "builds/b", 40, label="two").write_text("{")
    code, out, err = call("history", "builds", "--html", "h.html", "--csv", "h.csv")
    assert code == 0
    assert out.startswith("label")
    assert "one" in out
    assert err.startswith("left out: builds/b/report.json: ")
    assert err.count("\n") == 1
    with (tmp_path / "h.csv").open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["one"]
    assert "<svg" in (tmp_path / "h.html").read_text()


def test_orders_and_bad_input(call, tmp_path):
    make_build(tmp_path / "builds/a", 40)
    assert call("history", "builds", "--sort", "size")[0] == 0
    assert call("history", "builds", "--sort", "colour")[0] == 2
    (tmp_path / "empty").mkdir()
    for folder in ("missing", "empty"):
        code, out, err = call("history", folder, "--csv", "h.csv")
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert not (tmp_path / "h.csv").exists()


def test_no_file_of_a_build_is_replaced(call, tmp_path):
    make_build(tmp_path / "builds/a", 40)
    broken = make_build(tmp_path / "builds/b", 40)
    broken.write_text("{")
    broken.with_name("manifest.json").unlink()
    for flags in (
        ("--csv", "builds/b/report.json"),
        ("--html", "builds/a/report.html"),
        ("--csv", "x", "--html", "./x"),
        ("--csv", "nowhere/x.csv"),
    ):
        code, out, err = call("history", "builds", *flags)
        assert (code, out, err.count("\n")) == (3, "", 1)
    assert broken.read_text() == "{"
    assert not (tmp_path / "x").exists()
