from pathlib import Path

import pytest

from edge_convnext.cli.written import write_files


def test_what_can_be_written_is_and_the_first_error_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    bad = [tmp_path / "file" / name for name in ("a", "b")]
    with pytest.raises(OSError, match="choose another place") as error:
        write_files({bad[0]: "x", bad[1]: "x", tmp_path / "c": "text"})
    assert Path(error.value.filename) == bad[0]
    assert str(bad[1]) in capsys.readouterr().err
    assert (tmp_path / "c").read_text() == "text"
