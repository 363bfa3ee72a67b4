import json
import webbrowser

import pytest
from support.gate_builds import make_build
from support.html_pages import check_page


@pytest.fixture
def build(tmp_path):
    return make_build(tmp_path / "build", n=20).parent


def test_a_page_is_made_again_and_verify_and_gate_pass_before_and_after(call, build):
    assert call("verify", build)[0] == 0
    gate = call("gate", build, "--max-drop", "50")
    assert gate[0] == 0
    assert call("report", build) == (0, f"{build / 'report.html'}\n", "")
    assert call("verify", build) == (0, "4 files unchanged\n", "")
    assert call("gate", build, "--max-drop", "50") == gate
    check_page((build / "report.html").read_text(encoding="utf-8"))


def test_an_edited_page_is_found_and_made_again(call, build):
    call("report", build)
    (build / "report.html").write_text("edited")
    code, out, _ = call("verify", build)
    assert (code, out.splitlines()[0]) == (3, "changed    report.html")
    assert call("report", build)[0] == 0
    assert call("verify", build)[0] == 0


def test_a_page_of_several_and_one_by_name(call, build, tmp_path):
    other = make_build(tmp_path / "other", n=20).parent
    code, out, _ = call("report", build, other, "-o", tmp_path / "both", "--json")
    assert (code, json.loads(out)) == (0, {"page": str(tmp_path / "both" / "report.html")})
    assert call("report", build, "--html", tmp_path / "a.html")[0] == 0
    code, _, err = call("report", build, "--html", tmp_path / "b.html", "-o", tmp_path)
    assert (code, "pass one of them" in err) == (3, True)
    code, _, err = call("report", build, other)
    assert (code, "pass -o DIR" in err) == (3, True)


def test_a_page_for_everybody_and_one_with_images(call, build, tmp_path):
    page = tmp_path / "public.html"
    assert call("report", build, "--public", "--html", page)[0] == 0
    assert "potato.pth" not in page.read_text(encoding="utf-8")
    code, _, err = call("report", build, "--public")
    assert (code, "pass --html FILE" in err) == (3, True)
    code, _, err = call("report", build, "--data", tmp_path)
    assert (code, "pass both" in err) == (3, True)
    flipped = make_build(tmp_path / "flipped", n=20, lost=1).parent
    code, _, err = call("report", flipped, "--with-images")
    assert (code, err.count("\n"), "--data" in err) == (3, 1, True)


def test_open_shows_the_page_and_says_where_it_is_without_a_browser(call, build, monkeypatch):
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: shown.append(uri) or len(shown) == 1)
    assert call("report", build, "--open")[2] == ""
    assert shown == [(build / "report.html").as_uri()]
    assert f"open {build / 'report.html'}" in call("report", build, "--open")[2]
