"""Class names are the bytes of a folder's name read as UTF-8, whatever the locale says."""

import os
import subprocess
import sys

import pytest

from edge_convnext.core.class_names import composed

READ = """
import os, sys
from pathlib import Path
from edge_convnext.core.class_names import composed
names = sorted(composed(path.name) for path in Path(sys.argv[1]).iterdir())
sys.stdout.buffer.write("\\n".join(names).encode("utf-8"))
"""
NAMES = ["Bäume", "Grün", "cat", "狗"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes")
@pytest.mark.parametrize("settings", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_folder_s_name_is_its_bytes(tmp_path, settings):
    for name in NAMES:
        (tmp_path / name).mkdir()
    environment = {**os.environ, "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": ":".join(sys.path)}
    line = [sys.executable, "-c", READ, str(tmp_path)]
    run = subprocess.run(line, env={**environment, **settings}, capture_output=True, check=True)
    assert run.stdout.decode("utf-8").split("\n") == NAMES


@pytest.mark.parametrize(
    ("listed", "name"),
    [("GrÃ¼n", "Grün"), ("ç\x8b\x97", "狗"), ("cat", "cat"), ("Gru\u0308n", "Grün"), ("狗", "狗")],
)
def test_in_a_latin_1_locale_it_is_too(monkeypatch, listed, name):
    monkeypatch.setattr(os, "fsencode", lambda text: text.encode("latin-1"))
    assert composed(listed) == name


def test_text_that_was_read_in_a_latin_1_locale_stays_what_it_is(monkeypatch):
    monkeypatch.setattr(os, "fsencode", lambda text: text.encode("latin-1"))
    assert composed("Grün") == "Grün"  # of a CSV: as bytes it would be no UTF-8


def test_a_name_that_is_no_utf_8_has_letters_that_can_be_stored():
    name = composed(b"Gr\xfcn".decode("utf-8", "surrogateescape"))
    assert name == "Grün"
    assert name.encode("utf-8")
