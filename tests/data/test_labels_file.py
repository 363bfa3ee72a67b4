from __future__ import annotations

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.labels import read_labels_file


def test_labels_files_hold_lines_or_a_json_list(tmp_path):
    path = tmp_path / "labels"
    path.write_text("b\n a \n\n")
    assert read_labels_file(path) == ("b", "a")
    path.write_text('["b", "a, c"]')
    assert read_labels_file(path) == ("b", "a, c")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no class names"),
        (b"a\n\nb", "entry 2 is not a class name"),
        (b"[1, 2]", "entry 1 is not a class name: 1"),
        (b'["a"', "starts like a JSON list"),
        (b"\xff\xff", "not UTF-8"),
        (b"\xff\xfe", "no class names"),  # UTF-16
    ],
)
def test_bad_labels_files_are_refused(tmp_path, content, message):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_labels_file(path)
