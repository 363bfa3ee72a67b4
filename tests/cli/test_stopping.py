"""SIGINT and SIGTERM, as a shell or a CI runner sends them."""

import os
import signal
import subprocess
import sys

import pytest

from edge_convnext.cli import stopping

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

HEAD = """
import os, signal, sys, threading, time
from edge_convnext import cli
from edge_convnext.build import pipeline
from edge_convnext.core import isolate
from edge_convnext.cli import main, stopping
from edge_convnext.core.errors import ExportError
stopping._PATIENCE_S = 0.3
sys.argv = ["edge-convnext", "build", "--quiet"]
def ready(): print("ready", flush=True)
pipeline.build = lambda *_, **__: work()
"""
# What a build may be in when the signal comes, by name.
WORK = {
    "python": "def work():\n ready(); time.sleep(60)",
    "a library that makes an error of it": """
def work():
    try: ready(); time.sleep(60)
    except BaseException as error: raise ExportError("it did not go well") from error""",
    "a library that swallows it": """
def work():
    try: ready(); time.sleep(60)
    except BaseException: pass
    time.sleep(60)""",
    "a worker thread that goes on": """
def work():
    threading.Thread(target=time.sleep, args=(60,)).start()
    ready()
    time.sleep(60)""",
    "native code that does not come back": """
def work():
    import ctypes
    libc = ctypes.CDLL(None)
    ready()
    while libc.sleep(60): pass  # it is interrupted, and goes back to sleep without Python
""",
}
SAYS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}


def start(work):
    line = [sys.executable, "-c", f"{HEAD}\n{work}\nmain()"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # A shell's background has Ctrl-C ignored, and this process may have been started there.
    process = subprocess.Popen(line, text=True, env=environment, **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", SAYS)
@pytest.mark.parametrize("work", WORK)
def test_a_build_that_is_stopped_says_so_and_is_gone(work, number):
    process = start(WORK[work])
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    status, word = SAYS[number]
    assert process.returncode == status
    assert error == f"\n{word}; finished stages are kept, run again to go on\n"


def test_a_second_signal_means_at_once():
    process = start("""
def work():
    stopping._PATIENCE_S = 60
    try: ready(); time.sleep(60)
    except BaseException: ready()
    time.sleep(60)""")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error.split(";")[0]) == (130, "\ninterrupted")


def test_the_signal_of_a_fork_is_not_the_build_s():
    process = start("""
def work():
    ready()
    child = os.fork()
    if child == 0:
        time.sleep(60)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    time.sleep(1)
    os._exit(os.WTERMSIG(status))""")
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (signal.SIGTERM, "")


@pytest.mark.parametrize("line", ["build --quiet", "--verbose tune", "train --out w.safetensors"])
def test_a_command_that_keeps_its_work_says_how_to_go_on(line):
    told = stopping._how_to_go_on(line.split())
    assert told == "; finished stages are kept, run again to go on"


@pytest.mark.parametrize("line", ["doctor --json", "predict m.onnx build", "gate", "--help", ""])
def test_a_command_that_keeps_nothing_promises_nothing(line):
    assert stopping._how_to_go_on(line.split()) == ""
