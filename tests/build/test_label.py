import os
import shutil
import subprocess

import pytest

from edge_convnext.build.label import settle_label
from edge_convnext.core.errors import RecipeError


def test_a_stated_label_is_taken_as_it_is():
    assert settle_label("  release 1.2, größer <b>  ") == "release 1.2, größer <b>"


@pytest.mark.parametrize("label", ["", "  ", "x" * 121, "a\nb", "a\x1b[2Jb"])
def test_a_label_is_one_line_that_a_table_has_room_for(label):
    with pytest.raises(RecipeError, match="--label is one line"):
        settle_label(label)


def test_without_git_or_a_commit_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert settle_label(None) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert settle_label(None) is None


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_the_label_where_git_tells_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    who = ("-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "commit.gpgsign=false")
    for line in (("init", "-q"), (*who, "commit", "-q", "--allow-empty", "-m", "x")):
        subprocess.run(("git", *line), check=True, capture_output=True)
    whole = subprocess.run(
        ("git", "rev-parse", "HEAD"), check=True, capture_output=True, text=True
    ).stdout
    label = settle_label(None)
    assert len(label) >= 10
    assert whole.startswith(label)
