"""Probes written before the layers still run: each name leads to what it named."""

import subprocess
import sys

from support.case_probes import ADDED, OLD_HOMES
from support.paths import ROOT

SCRIPT = """
from edge_convnext.data import iter_batches
from edge_convnext.inputs import prepare_inputs
from edge_convnext.convnext.model import ConvNeXt
from edge_convnext.recipe import make_recipe
import sys
print(make_recipe({"model": "atto"}).model, ConvNeXt.__name__, sys.argv[1:])
"""


def run(script, *arguments):
    command = [sys.executable, str(ROOT / "tests/support/case_probes.py"), str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_script_with_the_old_names_runs(tmp_path):
    (tmp_path / "case.py").write_text(SCRIPT)
    done = run(tmp_path / "case.py", "one")
    assert done.stdout == "convnextv2_atto ConvNeXt ['one']\n", done.stderr


def test_every_old_name_has_a_home(tmp_path):
    lines = [
        f"from edge_convnext.{old} import {name}"
        for homes in (OLD_HOMES, ADDED)
        for old, names in homes.items()
        for name in names
    ]
    (tmp_path / "all.py").write_text("\n".join([*lines, "print('all')"]))
    done = run(tmp_path / "all.py")
    assert done.stdout == "all\n", done.stderr
