"""The command line: parse, call the library, render.

Nothing heavy is imported until a command runs. Results go to stdout (with `--json`, only
JSON), progress and notes to stderr. Exit codes: 0 done, 1 a stated requirement is not met,
2 usage, 3 an error of ours in one line (with `--verbose`, the traceback too), 130 interrupted
(SIGINT), 141 nobody reads the output any more, 143 terminated (SIGTERM).
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

from edge_convnext.cli import (
    bench,
    build,
    bundle,
    card,
    check,
    compare,
    deploy,
    doctor,
    engine,
    export,
    gate,
    history,
    inspect,
    merge,
    models,
    predict,
    recipes,
    recover,
    report,
    sensitivity,
    stopping,
    targets,
    train,
    tune,
    verify,
)
from edge_convnext.cli.cache import cache_app
from edge_convnext.cli.eval import evaluate
from edge_convnext.cli.streams import (
    EXIT_NO_READER,
    STDOUT,
    NoReader,
    forget_output,
    leave,
    prepare_streams,
)
from edge_convnext.core.cache_folder import default_cache_folder
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.files import NO_ROOM
from edge_convnext.core.quotas import read_cpu_quota, usable_cores
from edge_convnext.core.scratch import use_temporary_folder
from edge_convnext.core.text import printable
from edge_convnext.core.version import __version__

__all__ = ["app", "main"]

EXIT_USAGE, EXIT_ERROR = 2, 3


class _Commands(TyperGroup):
    """All commands; an error of a flag is shown without the words that pydantic adds."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name="edge-convnext",
    cls=_Commands,
    help="From an image classifier (ConvNeXt, Conv2Former, any of timm or transformers, or your "
    "own ONNX file) to a fast, small, proven model on an edge device.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-convnext {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


app.command("build")(build.build)
app.command("check")(check.check)
app.command("tune")(tune.tune)
app.command("train")(train.train)
app.command("eval")(evaluate)
app.command("export")(export.export)
app.command("bench")(bench.bench)
app.command("bundle")(bundle.bundle)
app.command("merge")(merge.merge)
app.command("report")(report.report)
app.command("predict")(predict.predict)
app.command("sensitivity")(sensitivity.sensitivity)
app.command("recover")(recover.recover)
app.command("engine")(engine.engine)
app.command("deploy")(deploy.deploy)
app.command("gate")(gate.gate)
app.command("compare")(compare.compare)
app.command("history")(history.history)
app.command("card")(card.card)
app.command("verify")(verify.verify)
app.command("inspect")(inspect.inspect)
app.command("models")(models.models)
app.command("recipes")(recipes.recipes)
app.command("targets")(targets.targets)
app.command("doctor")(doctor.doctor)
app.add_typer(cache_app, name="cache")


def main() -> None:
    """Entry point: turn errors of this package into one line and an exit code."""
    # torch's worker threads otherwise spin while they wait, and stand still while another program
    # uses their cores: one epoch of the demo took 90 s instead of 10 on a busy machine. torch
    # reads the variable when it is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if read_cpu_quota() is not None:  # torch and BLAS count all cores, not only those granted
        os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    # At its end Python looks for cycles among all objects: 0.35 s with torch imported.
    atexit.register(gc.freeze)
    # Not the commands' own `verbose`: after an error their parameters can't be reached.
    verbose = "--verbose" in sys.argv[1:]
    try:
        prepare_streams()
        stopping.install()
        with stopping.last_word():
            _run()
    except EdgeConvNextError as error:
        _fail(" ".join(str(error).split()), error, verbose)
    except OSError as error:
        # A full disk or a read-only folder: the user can mend these, and a traceback does not help.
        _fail(_explain(error), error, verbose)
    except Exception as error:  # a bug: traceback, but not Python's 1, which means a failed gate
        from edge_convnext.core.third_party import hollow_module

        if hollow := hollow_module(error):
            _fail(hollow, error, verbose)
        _print_traceback(error)
        sys.exit(EXIT_ERROR)


def _run() -> None:
    _refuse_empty(sys.argv[1:])
    use_temporary_folder(lambda: default_cache_folder(os.environ))
    with suppress(EdgeConvNextError):  # else torch's exporter leaves a folder in the system's /tmp
        folder = default_cache_folder(os.environ) / "torchinductor"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    try:
        app()
    except SystemExit as leaving:
        leave(leaving.code)
    except NoReader:
        leave(EXIT_NO_READER)


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse empty arguments: a script's unset variable would mean the working folder."""
    before = ""
    for argument in arguments:
        if argument == "" or (argument.startswith("--") and argument.endswith("=")):
            name = argument.rstrip("=") or (before if before.startswith("-") else "an argument")
            sys.stderr.write(
                f"error: {printable(name)} is empty: pass a value, or leave it out (is a variable "
                "of your script not set?)\n"
            )
            sys.exit(EXIT_USAGE)
        before = argument


def _explain(error: OSError) -> str:
    """One line: which file, what is wrong with it, and what to do about a full disk."""
    # The error of a copy names the source first; the disk that is full is the second name's.
    name = (error.filename2 if error.errno in NO_ROOM else None) or error.filename
    where = f"{os.fsdecode(name)}: " if isinstance(name, (str, bytes)) else ""
    reason = error.strerror or str(error) or type(error).__name__
    if name == STDOUT:
        forget_output()
        return f"{where}{reason}"
    hints = {errno.EROFS: "; choose another --out"}
    hints |= dict.fromkeys(NO_ROOM, "; free some space, or choose another --out")
    return f"{where}{reason}{hints.get(error.errno or 0, '')}"


def _fail(message: str, error: BaseException, verbose: bool) -> None:
    if verbose:
        _print_traceback(error)
    sys.stderr.write(f"error: {printable(message)}\n")
    sys.exit(EXIT_ERROR)


def _print_traceback(error: BaseException) -> None:
    """Print a traceback with unprintable characters escaped: libraries may quote a file's text."""
    import traceback

    for line in "".join(traceback.format_exception(error)).splitlines():
        sys.stderr.write(f"{printable(line)}\n")
