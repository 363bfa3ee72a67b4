"""The tests themselves on a machine without the extras: they skip, and none of them fails."""

import os
import subprocess
import sys

import pytest
from support.paths import TESTS

FILES = {
    "torch": ("networks/convnext/test_dialects.py", "networks/convnext/test_fold.py"),
    "scipy": ("core/test_intervals.py",),
}
CODE = """
import sys
sys.modules[sys.argv[1]] = None  # as where it is not installed
import pytest
sys.exit(pytest.main(["-n", "0", "-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


@pytest.mark.parametrize("package", FILES)
def test_without_an_extra_its_tests_skip_and_say_so(package):
    files = [str(TESTS / name) for name in FILES[package]]
    run = subprocess.run(
        [sys.executable, "-c", CODE, package, *files],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode in (0, 5), run.stdout  # 5: nothing is left to run
    assert f"{package} is not installed" in run.stdout
    assert "failed" not in run.stdout
