import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.csv_files import FileFinder


@pytest.fixture
def finder(tmp_path):
    for name in ("cat/1.jpg", "dog/1.jpg", "dog/Two.png", "deep/er/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return FileFinder((tmp_path,))


@pytest.mark.parametrize(
    ("written", "found", "guess"),
    [
        ("cat/1.jpg", "cat/1.jpg", None),
        ("./cat/../cat/1.jpg", "cat/1.jpg", None),
        (r"dog\1.jpg", "dog/1.jpg", None),
        ('"dog/1.jpg" ', "dog/1.jpg", None),
        ("C:/data/cat/1.jpg", "cat/1.jpg", "by their name alone, wherever below they lie"),
        ("https://x.org/dog/1.jpg?sig=1#a", "dog/1.jpg", "by their name alone, wherever below"),
        ("Two.png", "dog/Two.png", None),
        ("dog/Two", "dog/Two.png", "by their name without the suffix"),
        ("3.png", "deep/er/3.png", None),
    ],
)
def test_a_file_is_found_by_what_is_written(finder, written, found, guess):
    assert finder.is_file(written)
    assert finder.find(written, "line 2") == finder.roots[0] / found
    said = list(finder.guesses)
    assert (said == []) if guess is None else said[0].startswith(guess)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "line 2: no path; fill it in"),
        ("a\nb", "is not plain text; correct it"),
        ("1.jpg", r"1\.jpg may be .*cat.* or .*dog"),
        ("dog/two.png", "there is .*Two.png, which differs in upper and lower case"),
        ("dog/Two.jpg", "there is .*Two.png, which has another suffix"),
        ("/far/away.png", r"no such file: /far/away.png \(absolute path\)"),
        ("none.png", "paths are relative to"),
        ("x" * 5000, r"line 2: .*; correct the path"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_hint(finder, written, words):
    assert not finder.is_file(written)
    with pytest.raises(DataError, match=words):
        finder.find(written, "line 2")


def test_the_first_root_comes_first_and_hidden_files_are_none(tmp_path):
    for name in ("a/1.png", "b/1.png", "b/.hidden/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    finder = FileFinder((tmp_path / "b", tmp_path / "a"))
    assert finder.find("1.png", "") == tmp_path / "b" / "1.png"
    assert not finder.is_file("2.png")
