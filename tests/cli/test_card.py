from support.example_report import example_fields
from support.gate_builds import make_build

from edge_convnext.report.card import push


def test_a_card_is_written_and_nothing_is_sent(call, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(push, "push_card", lambda *given: sent.append(given) or "there")
    make_build(tmp_path / "a", 40)
    code, out, err = call("card", "a")
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"wrote a/{name}" for name in (
        "README.md", "perf.yaml", "numerics.yaml",
    )]  # fmt: skip
    assert sent == []
    code, out, _ = call("card", "a", "--push", "me/atto", "--dataset", "x", "--dataset", "y/z")
    assert (code, out.splitlines()[-1]) == (0, "pushed 4 files to me/atto: there")
    assert sent[0][1:] == ("me/atto", False)
    assert "- y/z" in (tmp_path / "a/README.md").read_text()


def test_an_unknown_licence_is_told(call, tmp_path):
    model = example_fields()["model"]
    model["weights"]["licence"] = None
    make_build(tmp_path / "a", 40, model=model)
    code, _, err = call("card", "a")
    assert code == 0
    assert err.startswith("the licence is not known")
    assert call("card", "a", "--licence", "mit")[2] == ""


def test_bad_input_is_one_line_and_writes_nothing(call, tmp_path):
    make_build(tmp_path / "a", 40)
    for flags in (("--push", "nobody"), ("--dataset", "a b"), ("--base-model", "x")):
        code, out, err = call("card", "a", *flags)
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert not (tmp_path / "a/README.md").exists()
    assert call("card", "missing")[0] == 3
    assert call("card", "a", "--public")[0] == 2


def test_the_report_stands_for_its_folder(call, tmp_path):
    make_build(tmp_path / "a", 40)
    assert call("card", "a/report.json")[:2] == call("card", "a")[:2]
    assert call("verify", "a/report.json") == call("verify", "a")
