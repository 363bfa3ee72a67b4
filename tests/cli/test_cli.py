import json
import os
import re
import signal
import subprocess
import sys

import pytest
from support.builds import environment
from support.commands import HEAVY
from typer.main import get_command
from typer.testing import CliRunner

from edge_convnext.build import pipeline
from edge_convnext.cli import app
from edge_convnext.core.version import __version__


@pytest.mark.parametrize(
    "line", ["", "--help", "build --help", "models --json", "build --recipe potatoe"]
)
def test_starting_imports_nothing_heavy(line, tmp_path):
    code = (
        "import sys\nfrom edge_convnext.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"assert not set('{HEAVY}'.split()) & set(sys.modules), sys.modules.keys()"
    )
    arguments = [sys.executable, "-c", code, *line.split()]
    result = subprocess.run(
        arguments, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_help_imports_no_arrays_images_or_schemas(tmp_path):
    light = "numpy PIL pydantic yaml google platformdirs jinja2"
    code = (
        "import sys\nfrom edge_convnext.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"assert not set('{HEAVY} {light}'.split()) & set(sys.modules), sys.modules.keys()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "--help"], env=environment(tmp_path), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--version", 0),
        ("models", 0),
        ("recipes", 0),
        ("targets", 0),
        ("targets orin-nano-8gb", 0),
        ("doctor", 0),
        ("cache info", 0),
        ("cache prune", 0),
        ("", 2),
        ("buidl", 2),
        ("build --no-such-flag", 2),
        ("build --precision int4", 2),
        ("build --image-size big", 2),
        ("models --image-size 8", 2),
        ("cache prune --older-than-days -1", 2),
        ("predict", 2),
        ("eval model.onnx", 2),
        ("targets raspberry-pi", 3),
        ("build --recipe potatoe", 3),
        ("build --model attoo", 3),
        ("build --weights missing.pth --data missing", 3),
        ("build --data missing", 3),
        ("predict missing.onnx missing.png", 3),
        ("eval missing.onnx --data missing", 3),
        ("bench missing.onnx", 3),
    ],
)
def test_the_exit_code_tells_usage_from_our_errors(call, tmp_path, line, code):
    found, _, err = call(*line.split())
    assert found == code
    if code == 3:
        assert err.count("\n") == 1
        assert err.startswith("error: ")
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    "line", ["models", "recipes", "targets", "doctor", "cache info", "cache prune"]
)
def test_json_is_one_document_alone_on_stdout(call, line):
    code, out, err = call(*line.split(), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)


def test_verbose_adds_the_traceback_and_keeps_the_code(call):
    code, out, err = call("build", "--recipe", "potatoe", "--verbose")
    assert (code, out) == (3, "")
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: no recipe 'potatoe'")


def test_a_bug_keeps_its_traceback_and_is_no_failed_gate(call, monkeypatch):
    def fail(*_arguments, **_options):
        raise ZeroDivisionError("a bug\x1b[2J")

    monkeypatch.setattr(pipeline, "build", fail)
    code, out, err = call("build")
    assert (code, out) == (3, "")
    assert "Traceback" in err
    assert r"ZeroDivisionError: a bug\x1b[2J" in err  # quoted of a file, and not obeyed


def test_a_full_disk_is_one_line(call, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device", "/somewhere/model.onnx")

    monkeypatch.setattr(pipeline, "build", fail)
    code, _, err = call("build", "--quiet")
    assert code == 3
    assert err == (
        "error: /somewhere/model.onnx: No space left on device; "
        "free some space, or choose another --out\n"
    )


def test_another_failure_of_the_system_comes_without_advice_on_space(call, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(pipeline, "build", fail)
    code, _, err = call("build", "--quiet")
    assert (code, err) == (3, "error: Too many open files\n")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_says_that_work_is_kept(call, monkeypatch):
    def interrupt(*_arguments, **_options):
        signal.raise_signal(signal.SIGINT)

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr(pipeline, "build", interrupt)
    monkeypatch.setattr(os, "_exit", leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code, _, err = call("build", "--quiet")
    assert code == 130
    assert err == "\ninterrupted; finished stages are kept, run again to go on\n"


def walk(command, words=()):
    yield words, command
    for name, one in getattr(command, "commands", {}).items():
        yield from walk(one, (*words, name))


@pytest.mark.parametrize(("words", "command"), [pytest.param(*one, id=" ".join(one[0]) or "-")
                                                for one in walk(get_command(app))])  # fmt: skip
def test_every_option_of_help_is_whole_at_80_columns(words, command):
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert max(map(len, result.stdout.splitlines())) <= 80
    shown = set(re.split(r"[\s│,]+", result.stdout))
    hidden = {name for one in command.params if getattr(one, "hidden", False) for name in one.opts}
    names = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} - hidden
    assert hidden <= {"--imgsz"}  # the words of others; all else is shown
    assert not hidden & shown
    assert {name for name in names if name.startswith("-")} <= shown
    assert not re.search(r"[^\s:(]…", result.stdout.replace(", …", ""))  # nor is a word cut


@pytest.mark.parametrize("line", ["build --help", "models"])
def test_a_terminal_without_the_letters_is_served_too(line, tmp_path):
    code = "from edge_convnext.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, *line.split()],
        env={**environment(tmp_path), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("build --precision int4", "'--precision': 'int4' is not one of 'fp32', 'fp16', 'int8'."),
        ("bench x.onnx --hint f64", "'--hint': 'f64' is not one of 'f32', 'bf16', 'f16'."),
        ("gate x --preset none", "'--preset': 'none' is not one of 'mlperf-99', 'mlperf-99.9'."),
        (
            "build --target rtxx",
            "'--target': 'rtxx' is not one of 'cpu', 'arm-cpu', 'rtx', 'tensorrt'.",
        ),
    ],
)
def test_what_is_wrong_with_a_word_is_told_without_words_of_pydantic(call, line, message):
    code, _, err = call(*line.split())
    assert code == 2
    assert f"Invalid value for {message}" in " ".join(err.replace("│", "").split())


def test_every_command_is_registered_once_and_in_order():
    names = [command.name for command in app.registered_commands]
    assert names == [
        "build", "check", "tune", "train", "eval", "export", "bench", "bundle", "merge", "report",
        "predict", "sensitivity", "recover", "engine", "deploy", "gate", "compare", "history",
        "card", "verify", "inspect", "models", "recipes", "targets", "doctor",
    ]  # fmt: skip
    assert [group.name for group in app.registered_groups] == ["cache"]


def test_the_module_is_the_command_too(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "edge_convnext.cli", "--version"], env=environment(tmp_path),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("edge-convnext ")


def test_python_s_last_search_for_cycles_finds_nothing_to_search():
    """It takes 0.35 s with torch imported. The first `atexit` function is called last."""
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(len(gc.get_objects()) < 1000)); "
        "sys.argv[1:] = ['--version']; from edge_convnext.cli import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["edge-convnext", __version__, "True"]
