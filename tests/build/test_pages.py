import pytest
from support.gate_builds import make_build
from support.html_pages import check_page

from edge_convnext.build.pages import as_it_is, write_page
from edge_convnext.core.errors import ArtifactError, RecipeError
from edge_convnext.core.files import sha256_file
from edge_convnext.report.contract import Report
from edge_convnext.report.manifest import verify_build


@pytest.fixture
def build(tmp_path):
    return make_build(tmp_path / "build", n=40, lost=2).parent


def hashes(folder):
    return {path.name: sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def test_the_page_in_the_folder_is_renewed(build):
    path = write_page([build], None, None)
    assert path == build / "report.html"
    assert "2 answers changed" in check_page(path.read_text(encoding="utf-8")).text
    assert {one.state for one in verify_build(build)} == {"unchanged"}


@pytest.mark.parametrize("named", ["folder", "report.json"])
def test_a_page_elsewhere_touches_nothing_else(build, tmp_path, named):
    before = hashes(build)
    given = build if named == "folder" else build / "report.json"
    path = write_page([given], tmp_path / "new" / "page.html", None)
    assert hashes(build) == before
    check_page(path.read_text(encoding="utf-8"))
    text = path.read_bytes()
    assert write_page([given], path, None).read_bytes() == text  # a page of ours is made again


def test_several_reports_make_one_page(build, tmp_path):
    other = make_build(tmp_path / "other", n=40).parent
    path = write_page([build, other], None, tmp_path / "both")
    assert path == tmp_path / "both" / "report.html"
    assert "2 reports" in check_page(path.read_text(encoding="utf-8")).text
    with pytest.raises(RecipeError, match="pass -o DIR, or --html FILE"):
        write_page([build, other], None, None)


def test_no_other_file_is_replaced(build, tmp_path):
    mine = tmp_path / "thesis.html"
    mine.write_text("years of work")
    write_page([build], None, None)
    before = hashes(build)
    for html, out, why in (
        (mine, None, "is not a page that edge-convnext made"),
        (tmp_path, None, "is a folder; name a file"),
        (build / "report.html", None, "renew it with edge-convnext report"),
        (None, build, "renew it with edge-convnext report"),
        (build / "report.json", None, "is not a page that edge-convnext made"),
    ):
        with pytest.raises(ArtifactError, match=why):
            write_page([build], html, out)
    assert mine.read_text() == "years of work"
    assert hashes(build) == before


def test_what_is_no_report_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ArtifactError, match=r"report\.json"):
        write_page([tmp_path], tmp_path / "page.html", None)
    assert not (tmp_path / "page.html").exists()


def test_a_report_is_shown_with_the_predictions_beside_it(build):
    subject = as_it_is(Report.read(build / "report.json"), build)
    assert len(subject.changes) == 2
