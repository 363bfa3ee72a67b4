import pytest
from support.builds import write_images
from support.gate_builds import make_build, write_build
from support.html_pages import check_page

from edge_convnext.build.pages import Shown, write_page
from edge_convnext.core.errors import ArtifactError, DataError, RecipeError
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
    page = tmp_path / "new" / "page.html"
    with pytest.raises(ArtifactError, match="there is no folder"):
        write_page([given], page, None)
    assert not page.parent.exists()
    page.parent.mkdir()
    path = write_page([given], page, None)
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
        (build / "report.json", None, "is read by this command"),
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
    report = Report.read(build / "report.json")
    subject = Shown().of(report, build)
    assert (subject.report, len(subject.changes), subject.images) == (report, 2, {})


def test_a_page_for_everybody_goes_elsewhere_and_has_no_paths(build, tmp_path):
    with pytest.raises(RecipeError, match="pass --html FILE"):
        write_page([build], None, None, Shown(public=True))
    path = write_page([build], tmp_path / "public.html", None, Shown(public=True))
    text = check_page(path.read_text(encoding="utf-8")).text
    assert "potato_split.csv" not in text
    assert "potato.pth" not in text
    assert "[path]" in text


def test_images_that_flipped_are_found_in_the_data(tmp_path):
    write_images(tmp_path / "images", {"cat": 50, "dog": 4})
    paths = sorted((tmp_path / "images").rglob("*.png"))
    flipped = [sha256_file(path) for path in paths]
    rows = [[digest, "cat", "cat", "1", "dog", "1"] for digest in flipped]
    (tmp_path / "build").mkdir()
    build = write_build(tmp_path / "build", rows).parent
    report = Report.read(build / "report.json")
    shown = Shown(images=True, data=tmp_path / "images")
    assert len(shown.of(report, build).images) == 40
    path = write_page([build], tmp_path / "a.html", None, shown)
    page = check_page(path.read_text(encoding="utf-8"))
    assert len(page.sources) == 40
    assert str(tmp_path) not in page.text.replace(report.folder, "")
    with pytest.raises(DataError, match="--data"):
        write_page([build], tmp_path / "b.html", None, Shown(images=True))
    with pytest.raises(DataError, match="leave out --with-images"):
        Shown(images=True, data=tmp_path / "gone").of(report, build)
    none = make_build(tmp_path / "none", n=4).parent
    assert Shown(images=True).of(Report.read(none / "report.json"), none).images == {}


@pytest.mark.parametrize("html", [False, True])
def test_what_names_no_report_is_refused_by_its_name(build, tmp_path, html):
    before = hashes(build)
    page = tmp_path / "page.html" if html else None
    for name, why in (
        ("TYPO", "no such file or folder; .*report.json is there"),
        ("predictions.csv", "is another file"),
        (
            "../nope",
            "no such file or folder; pass the folder of a build, or the report.json in it$",
        ),
    ):
        with pytest.raises(ArtifactError, match=why) as error:
            write_page([build / name], page, None)
        assert str(error.value).startswith(f"{build / name}: ")
    assert hashes(build) == before
    assert not (tmp_path / "page.html").exists()
