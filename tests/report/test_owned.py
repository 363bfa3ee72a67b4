import pytest
from support.gate_builds import make_build

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.contract import Report
from edge_convnext.report.folder import amend_report, check_addable, renew_page
from edge_convnext.report.html.page import Subject, to_html
from edge_convnext.report.manifest import read_manifest, require_unedited, write_manifest
from edge_convnext.report.owned import has_users_recipe

BESIDE = "The recipe is in recipe.yaml beside this."


@pytest.fixture
def folder(tmp_path):
    """A build with a recipe and a page."""
    made = make_build(tmp_path / "build").parent
    add(made, "first")
    return made


def add(folder, note):
    before = Report.read(folder / "report.json")
    amend_report(before.model_copy(update={"notes": (note,)}), folder, before)


def test_an_edited_recipe_is_refused_and_one_that_is_gone_is_made_again(folder):
    recipe = folder / "recipe.yaml"
    wrote = recipe.read_text()
    recipe.write_text("model: mine\n")
    report = (folder / "report.json").read_bytes()
    for attempt in (
        lambda: add(folder, "second"),
        lambda: check_addable(folder, Report.read(folder / "report.json")),
    ):
        with pytest.raises(ArtifactError, match=r"recipe\.yaml: was edited .* move it, and run"):
            attempt()
    assert (folder / "report.json").read_bytes() == report
    assert recipe.rename(folder / "mine.yaml").read_text() == "model: mine\n"
    add(folder, "second")
    assert recipe.read_text() == wrote
    assert BESIDE in (folder / "report.md").read_text()


def test_the_tables_do_not_call_a_users_recipe_the_builds(folder):
    kept = [folder / name for name in read_manifest(folder) if name != "recipe.yaml"]
    write_manifest(folder, kept)
    (folder / "recipe.yaml").write_text("model: mine\n")
    assert has_users_recipe(folder)
    add(folder, "second")
    told = (folder / "report.md").read_text()
    assert BESIDE not in told
    assert "The recipe is in report.json beside this." in told
    assert (folder / "recipe.yaml").read_text() == "model: mine\n"


@pytest.mark.parametrize("name", ["report.md", "report.html"])
@pytest.mark.parametrize("text", [None, "edited"])
def test_what_is_made_from_the_report_is_made_again_as_the_refusal_says(folder, name, text):
    path = folder / name
    wrote = read_manifest(folder)
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(ArtifactError, match=f"make it again with `edge-convnext report {folder}`"):
        require_unedited(folder / "report.json")
    renew_page(folder, lambda report: to_html([Subject.of(report, folder)]))
    assert require_unedited(folder / "report.json") == wrote
