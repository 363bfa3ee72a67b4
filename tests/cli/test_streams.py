"""Commands as shells, cron and containers start them: closed streams, no reader, no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_convnext.core.cache import default_cache_folder
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import expand_home
from edge_convnext.devices.doctor import examine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX streams")
MAIN = "from edge_convnext.cli import main; main()"


def start(*arguments, code=MAIN, redirect="", **options):
    """A command in a shell, so that it can be given any stream."""
    line = f'exec "$0" "$@" {redirect}'
    command = ["sh", "-c", line, sys.executable, "-c", code, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, text=True, env=environment, **pipes)


def without_reader(process):
    process.stdout.close()
    with process.stderr:
        return process.wait(60), process.stderr.read()


@pytest.mark.parametrize("arguments", [["models"], ["recipes", "--json"], ["--help"]])
def test_a_pipe_without_a_reader_is_no_failure(arguments):
    assert without_reader(start(*arguments)) == (141, "")


FAILS = """
from edge_convnext import cli
import typer
def fail():
    print("the decision")
    raise typer.Exit(1)
cli.app = typer.Typer(); cli.app.command()(fail)
import sys; sys.argv[1:] = []
cli.main()
"""


def test_a_decision_s_exit_code_is_kept_where_nobody_reads_why():
    assert without_reader(start(code=FAILS)) == (1, "")


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_results_that_go_nowhere_are_told_before_any_work(json):
    process = start("models", *json, redirect=">&-")
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, "")
    assert error.startswith("error: standard output is closed, and results go there; ")


@pytest.mark.parametrize("redirect", ["<&-", "2>&-", "<&- 2>&-"])
def test_the_other_streams_may_be_closed(redirect):
    process = start("recipes", redirect=redirect)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert "potato" in out


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1 2"])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path, closed):
    code = (
        f"import os; [os.close(int(one)) for one in {closed!r}.split()]\n"
        "from edge_convnext.cli.streams import prepare_streams\n"
        "from edge_convnext.core.errors import EdgeConvNextError\n"
        "try: prepare_streams()\n"
        "except EdgeConvNextError: pass\n"
        f"file = open({str(tmp_path / 'model')!r}, 'w')\n"
        "assert file.fileno() > 2\n"
        "import subprocess, sys\n"
        "assert subprocess.run([sys.executable, '-c', 'import os; os.fstat(0); os.fstat(1); "
        "os.fstat(2)']).returncode == 0\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full disk")
def test_a_full_disk_below_the_output_has_its_name():
    process = start("models", redirect=">/dev/full")
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (3, "error: standard output: No space left on device\n")
    process = start("recipes", redirect="2>/dev/full")
    assert "potato" in process.communicate(timeout=60)[0]
    assert process.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:surrogateescape"])
def test_a_stream_without_letters_for_a_name_is_no_reason_to_fail(encoding):
    code = (
        "import sys; from edge_convnext.cli.streams import prepare_streams; prepare_streams()\n"
        "print('Gr\\xfcn \\u72d7'); sys.stderr.write('\\u72d7\\n')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0
    assert process.stdout.startswith(b"Gr")


EMPTY = [
    *(["build", "--weights", ""], ["build", "--data", ""], ["build", "-o", ""]),
    *(["build", "--out="], ["build", ""], ["predict", "", "x.png"], ["predict", "m.onnx", ""]),
    *(["train", "--data", ""], ["eval", ""], ["bench", ""], ["bundle", ""], ["merge", "", "x"]),
    *(["gate", ""], ["gate", "build", "--junit", ""], ["verify", ""], ["inspect", ""]),
    *(["deploy", ""], ["tune", "--out", ""], ["sensitivity", ""], ["recover", ""], ["engine", ""]),
    *(["build", "--recipe", ""], ["cache", ""], [""]),
]


@pytest.mark.parametrize("arguments", EMPTY, ids=" ".join)
def test_an_empty_argument_is_no_path(arguments, monkeypatch, capsys):
    from edge_convnext import cli

    monkeypatch.setattr(cli, "app", lambda: pytest.fail("it ran"))
    monkeypatch.setattr(sys, "argv", ["edge-convnext", *arguments])
    with pytest.raises(SystemExit) as leaving:
        cli._refuse_empty(arguments)
    assert leaving.value.code == 2
    error = capsys.readouterr().err
    name = next((one for one in arguments if one.startswith("-")), "an argument").rstrip("=")
    assert error.startswith(f"error: {name} is empty: pass a value, or leave it out")


def test_an_empty_argument_is_a_wrong_use():
    out, error = (process := start("build", "--weights", "")).communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert error.startswith("error: --weights is empty: ")


@pytest.mark.parametrize("chosen", [None, "", "~nobody-at-all/cache"])
def test_without_a_home_the_line_names_the_variable(monkeypatch, chosen):
    import platformdirs

    def homeless(*_, **__):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_dir", homeless)
    environment = {} if chosen is None else {"EDGE_CONVNEXT_CACHE": chosen}
    with pytest.raises(ArtifactError, match="set EDGE_CONVNEXT_CACHE to a folder by its full path"):
        default_cache_folder(environment)
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", chosen or "")
    assert examine().cache_folder.startswith("none: ")


def test_a_home_that_nobody_has_is_a_path_as_it_is():
    assert expand_home("~nobody-at-all/w.pth") == Path("~nobody-at-all/w.pth")
    assert expand_home("w.pth") == Path("w.pth")
