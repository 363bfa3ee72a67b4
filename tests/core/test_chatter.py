"""Lines of native libraries that are kept off stderr."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, sys
from edge_convnext.core.chatter import without_lines
{before}
try:
    with without_lines(b"INFO: "):
        os.write(2, b"INFO: started\\nERROR: it matters\\n")
        print("of Python", file=sys.stderr)
        {inside}
finally:
    os.write(2, b"INFO: after\\n")
"""


def run(inside="pass", before="pass"):
    code = CODE.format(inside=inside, before=before)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_only_the_lines_that_begin_so_are_dropped_and_only_inside():
    done = run()
    assert done.stderr.splitlines() == ["ERROR: it matters", "of Python", "INFO: after"]


def test_an_error_inside_passes_and_what_was_said_is_not_lost():
    done = run("raise ValueError('no')")
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: it matters\nof Python\n")
    assert "ValueError: no" in done.stderr


def test_a_process_without_stderr_goes_on():
    code = "import os\nfrom edge_convnext.core.chatter import without_lines\nos.close(2)\n"
    code += "with without_lines(b'INFO'):\n    print('inside')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "inside"


AT_ONCE = """
import os, threading, time
from edge_convnext.core.chatter import without_lines
before, both = os.fstat(2).st_ino, threading.Barrier(2)
def hold():
    both.wait()
    for _ in range(5):
        with without_lines(b"INFO: "):
            os.write(2, b"ERROR\\n")
            time.sleep(0.005)
threads = [threading.Thread(target=hold) for _ in range(2)]
[one.start() for one in threads], [one.join() for one in threads]
os.write(2, b"the same\\n" if os.fstat(2).st_ino == before else b"")
"""


def test_two_threads_at_once_leave_stderr_as_it_was():
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines() == [*["ERROR"] * 10, "the same"]
