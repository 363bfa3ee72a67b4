from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from edge_convnext.cli.flags import Flag, FlagGroup
from edge_convnext.cli.signature import command, flag_of, in_panel


@dataclass(frozen=True)
class Paint:
    colour: Annotated[str, typer.Option(help="Colour of it.")] = "red"
    coats: Annotated[int, typer.Option("--coats", "-c", min=1, help="Number of coats.")] = 1
    max_gloss_pct: Annotated[float | None, typer.Option("--max-gloss", help="Largest.")] = None


FLAGS = FlagGroup((Flag("data.source", "--data", str, "Images.", "Data"),), panels=("Data",))


def run(function, *arguments):
    app = typer.Typer()
    app.command()(function)
    return CliRunner().invoke(app, [*arguments], env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_a_group_reaches_the_function_as_one_value_and_the_rest_as_they_are():
    seen = {}

    @command
    def paint(
        *, what: Annotated[str, typer.Argument()], paint: Paint, stated: Annotated[dict, FLAGS]
    ) -> None:
        seen.update(what=what, paint=paint, stated=stated)

    assert run(paint, "door").exit_code == 0
    assert seen == {"what": "door", "paint": Paint(), "stated": {}}
    assert run(paint, "wall", "-c", "2", "--data", "x", "--colour", "blue").exit_code == 0
    assert seen == {"what": "wall", "paint": Paint("blue", 2), "stated": {"data.source": "x"}}
    assert run(paint, "wall", "--coats", "0").exit_code == 2


def test_options_come_in_the_order_of_the_signature_and_under_their_panels():
    @command
    def paint(
        *,
        first: Annotated[bool, typer.Option("--first")] = False,
        paint: Annotated[Paint, in_panel("Paint")],
        stated: Annotated[dict, FLAGS],
        last: Annotated[bool, typer.Option("--last")] = False,
    ) -> None:
        """Paint it."""

    names = [*paint.__signature__.parameters]
    assert names == ["first", "colour", "coats", "max_gloss_pct", "data", "last"]
    text = run(paint, "--help").stdout
    places = [text.index(word) for word in ("Paint it.", "--first", "--last", "─ Paint", "─ Data")]
    assert places == sorted(places)
    assert text.index("─ Paint") < text.index("--colour") < text.index("--max-gloss")
    assert text.index("─ Data") < text.index("--data")
    assert "default: red" in text


def test_a_panel_leaves_the_dataclass_as_it_is():
    @command
    def one(*, paint: Annotated[Paint, in_panel("Paint")]) -> None: ...

    @command
    def other(*, paint: Paint) -> None: ...

    assert "─ Paint" in run(one, "--help").stdout
    assert "─ Paint" not in run(other, "--help").stdout


def test_a_name_twice_is_refused_where_the_command_is_declared():
    with pytest.raises(ValueError, match="duplicate parameter name: 'colour'"):

        @command
        def paint(*, paint: Paint, colour: str = "") -> None: ...


def test_a_flag_is_named_as_a_user_writes_it():
    assert [flag_of(Paint, name) for name in ("colour", "coats", "max_gloss_pct")] == [
        "--colour", "--coats", "--max-gloss",
    ]  # fmt: skip
