import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest
import typer
from pydantic import BaseModel

from edge_convnext.cli import app
from edge_convnext.cli.options import FLAGS, PREPROCESS, flags, resolve
from edge_convnext.core import bounds
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.recipe import Recipe


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


def field_of(dotted: str) -> Any:
    model: type[BaseModel] = Recipe
    *sections, name = dotted.split(".")
    for section in sections:
        model = model.model_fields[section].annotation
    return model.model_fields[name]


def words(kind: Any) -> set[str]:
    """The words that a type takes, at any depth."""
    found = {one for one in get_args(kind) if isinstance(one, str)} if is_literal(kind) else set()
    return found.union(*(words(one) for one in get_args(kind) if not isinstance(one, str)))


def is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


@pytest.mark.parametrize("field", FLAGS)
def test_a_flag_states_a_field_of_the_recipe_and_takes_its_words(field):
    row = FLAGS[field]
    taken = words(field_of(field).annotation)
    if field == "targets":
        assert set(row.metavar.strip("[]").split("|")) | {"auto"} == taken
        assert row.callback(["cpu", "rtx"]) == ["cpu", "rtx"]
        with pytest.raises(typer.BadParameter):
            row.callback(["auto"])
    elif is_literal(row.kind) and taken:  # who owns a table of names tells what is in it
        assert words(row.kind) == taken
    for other in row.also:
        assert field_of(other).annotation == field_of(field).annotation


def test_limits_of_the_table_are_the_recipes():
    # Of the training, the largest epochs and batch are the recipe's to tell.
    known = {"train.epochs": (1, None), "train.batch": (1, None), "train.lr": (0, None)}
    found = {
        row.field: (row.least, row.most)
        for row in FLAGS.values()
        if row.least is not None or row.most is not None
    }
    assert found == {**known, "benchmark.threads": (1, bounds.MAX_THREADS)}


def test_a_command_takes_the_rows_it_names_or_its_own_of_them():
    own = replace(FLAGS["seed"], help="Seed.")
    group = flags("model", own, *PREPROCESS)
    assert [row.field for row in group.rows] == ["model", "seed", *PREPROCESS]
    assert group.rows[1] is own
    assert (group.limits, group.required, [*group.panels]) == (True, False, ["Preprocessing"])
    with pytest.raises(KeyError):
        flags("preprocess.size")


@pytest.mark.parametrize("field", FLAGS)
def test_who_stated_a_field_is_told_by_the_flag_that_is_typed(field):
    row = FLAGS[field]
    assert row.flag.startswith("--")
    section, _, name = field.rpartition(".")
    if section != "preprocess":
        return
    value = {"image_size": 96, "resize": "squash", "crop_pct": 0.9, "interpolation": "nearest"}
    recipe = resolve(None, {field: value.get(name, (0.5, 0.5, 0.5))})
    assert recipe.origin(section, name).detail == row.flag


def test_an_error_names_the_flag_and_not_the_field():
    with pytest.raises(RecipeError, match=r"^--engine-batch 0: "):
        resolve(None, {"engine.batches": [0]})
    with pytest.raises(RecipeError, match=r"^--fold 'x': "):
        resolve(None, {"fold.enabled": "x"})
    with pytest.raises(RecipeError, match=r"^--image-size 3: "):
        resolve(None, {"train.image_size": 3})


def every_option():
    """Command, name and help text of each argument and option."""
    (cache,) = (group.typer_instance for group in app.registered_groups)
    for command in [*app.registered_commands, *cache.registered_commands]:
        for name, kind in get_type_hints(command.callback, include_extras=True).items():
            if get_origin(kind) is Annotated:
                yield command.callback.__name__, name, kind.__metadata__[-1].help


def test_every_help_text_is_read_alone():
    """It starts with a noun or a verb, says what it is, and ends as a sentence does."""
    fragment = re.compile(
        r"(Of|As|For|To|Over|Where|That|The same|Repeatable|Default|From|On|In|With|By)\b"
    )
    every = [*every_option()]
    assert len(every) > 150
    for command, name, text in every:
        told = f"{command} {name}: {text}"
        assert text[0].isupper(), told
        assert text.endswith("."), told
        assert not fragment.match(text), told


def test_a_flag_has_one_help_text_wherever_it_states_the_same_field():
    shared = ("weights", "labels", "calibration", "image_size", "mean", "seed", "skip_bad_images")
    for name in shared:
        texts = {
            text for command, own, text in every_option() if own == name and command != "recover"
        }
        texts = {text for text in texts if "MACs" not in text}
        assert len(texts) == 1, texts
