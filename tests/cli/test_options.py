from types import SimpleNamespace
from typing import get_type_hints

import pytest

from edge_convnext.cli import app
from edge_convnext.core import bounds


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("build --engine-batch 0", "--engine-batch 0: input should be greater than or equal to 1"),
        ("build --image-size 3", "--image-size 3: input should be greater than or equal to 32"),
        ("build --export-batch x", "--export-batch 'x': "),
        ("tune --max-drop -1", "--max-drop -1.0: "),
        ("build --recipe demo --threads 0", "--threads 0: "),
        ("build --compute-capability 8.7", "8.7 is a Jetson Orin: --target tensorrt"),
        ("build --weights missing.pth", "missing.pth: no such file"),
        ("tune --weights missing.pth", "missing.pth: no such file"),
        ("tune --weights missing.pth --out taken", "taken: is a file; choose another --out"),
        ("build --keep", "--keep is about another machine: add --host"),
        ("bench x.ecb --ssh-option Port=1", "--ssh-option is about another machine: add --host"),
        ("bench x.ecb --remote-command x", "--remote-command is about another machine"),
    ],
)
def test_what_a_flag_says_wrong_is_told_first_and_by_its_name(
    call, tmp_path, monkeypatch, line, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    code, _, err = call(*line.split(), *([] if line.startswith("bench") else ["--quiet"]))
    assert code == 3
    assert err.startswith((f"error: {message}", "error: compute capability"))
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("flag", "value"), [("--max-class-drop", "101"), ("--wait-quiet", "-1"), ("--max-drop", "101")]
)
def test_a_limit_out_of_range_is_named_by_its_flag(call, flag, value):
    code, _, err = call("build", "--recipe", "potato", flag, value)
    assert code == 3
    assert err.startswith(f"error: {flag} {value}")


def test_a_flag_takes_as_much_as_its_recipe_field():
    """The numbers stand in the commands too: to import them would slow `--help`."""
    most = {"batch": bounds.MAX_BATCH, "threads": bounds.MAX_THREADS, "rounds": bounds.MAX_ROUNDS}
    stated = [
        (option.name, option.max)
        for command in app.registered_commands
        for option in _options(command.callback)
        if option.max is not None and option.name in most
    ]
    assert {name for name, _ in stated} == set(most)
    assert [(name, most[name]) for name, _ in stated] == stated


def _options(command):
    """Name and largest value of each number that a command takes."""
    for name, kind in get_type_hints(command, include_extras=True).items():
        for option in getattr(kind, "__metadata__", ()):
            yield SimpleNamespace(name=name, max=getattr(option, "max", None))
