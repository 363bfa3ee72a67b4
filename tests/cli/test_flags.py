from typing import get_args

import pytest
import typer

from edge_convnext.cli.flags import Flag, FlagGroup

SIZE = Flag(
    "preprocess.image_size", "--image-size", int, "Size.", "Preprocessing", least=32, most=64
)
FOLD = Flag("fold.enabled", "--fold/--no-fold", bool, "Fold.", "Chain")
BATCH = Flag("engine.batches", "--engine-batch", list[int], "Batch.", "GPU")


def described(group, position=0):
    kind, info = get_args(group.parameters()[position].annotation)
    return kind, info


def test_a_switch_is_named_by_its_positive_side():
    assert (FOLD.flag, FOLD.parameter) == ("--fold", "fold")
    assert (SIZE.flag, SIZE.parameter) == ("--image-size", "image_size")


def test_what_is_not_stated_is_no_override():
    group = FlagGroup((SIZE, FOLD, BATCH))
    nothing = {"image_size": None, "fold": None, "engine_batch": None}
    assert group.gather(nothing) == {}
    assert group.gather({**nothing, "engine_batch": []}) == {}
    assert group.gather({"image_size": 0, "fold": False, "engine_batch": [1]}) == {
        "preprocess.image_size": 0, "fold.enabled": False, "engine.batches": [1],
    }  # fmt: skip


def test_a_value_is_read_with_the_flags_name_and_goes_to_every_field():
    row = Flag(
        "train.image_size", "--image-size", str, "Size.",
        to_recipe=lambda flag, text: (flag, int(text)),
        also=("preprocess.image_size",),
    )  # fmt: skip
    read = ("--image-size", 96)
    assert FlagGroup((row,)).gather({"image_size": "96"}) == {
        "train.image_size": read, "preprocess.image_size": read,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("panels", "shown"), [((), None), (("Chain",), None), (("Preprocessing",), "Preprocessing")]
)
def test_a_command_shows_the_panels_that_it_asks_for(panels, shown):
    _, info = described(FlagGroup((SIZE,), panels))
    assert info.rich_help_panel == shown


def test_limits_are_left_to_the_recipe_where_a_command_says_so():
    _, info = described(FlagGroup((SIZE,)))
    assert (info.min, info.max) == (32, 64)
    _, info = described(FlagGroup((SIZE,), limits=False))
    assert (info.min, info.max) == (None, None)


def test_a_required_flag_has_no_default_and_takes_no_none():
    (parameter,) = FlagGroup((SIZE,), required=True).parameters()
    assert parameter.default is parameter.empty
    assert described(FlagGroup((SIZE,), required=True))[0] is int
    (parameter,) = FlagGroup((SIZE,)).parameters()
    assert parameter.default is None
    assert described(FlagGroup((SIZE,)))[0] == (int | None)


def test_the_unit_of_a_value_is_shown_in_its_place():
    row = Flag("benchmark.wait_quiet_min", "--wait-quiet", float, "Wait.", metavar="MINUTES")
    assert described(FlagGroup((row,)))[1].metavar == "MINUTES"


def test_a_hidden_name_is_the_flag_and_both_at_once_are_refused():
    row = Flag("preprocess.image_size", "--image-size", str, "Size.", aliases=("--imgsz",))
    group = FlagGroup((row,))
    shown, hidden = group.parameters()
    assert (shown.name, hidden.name) == ("image_size", "imgsz")
    assert [get_args(one.annotation)[1].hidden for one in (shown, hidden)] == [False, True]
    assert group.gather({"image_size": None, "imgsz": "64"}) == {"preprocess.image_size": "64"}
    with pytest.raises(typer.BadParameter, match=r"--image-size and --imgsz are one flag"):
        group.gather({"image_size": "64", "imgsz": "96"})


def test_a_value_that_stands_for_another_is_told():
    row = Flag("x", "--x", str, "X.", tell=lambda value: f"{value}?" if value == "a" else None)
    group = FlagGroup((row,))
    assert group.gather({"x": "a"}).told == ("a?",)
    assert group.gather({"x": "b"}).told == ()
    assert group.gather({"x": None}).told == ()
