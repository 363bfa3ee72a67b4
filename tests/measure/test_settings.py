"""Every setting has a source: who said so, and what another source says otherwise."""

from dataclasses import replace

import pytest
from support.example_report import example_report

from edge_convnext.cli.views.read import read_lines
from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.origins import FACT_NAMES, Fact, Origin
from edge_convnext.core.recipe import Recipe
from edge_convnext.data.images import ImageSet
from edge_convnext.data.splits import Splits
from edge_convnext.measure.settings import default_settings, note_defaults, settle, show_value
from edge_convnext.networks.recipe_file import load_recipe, make_recipe
from edge_convnext.report.contract import Report
from edge_convnext.report.described import SettingReport
from edge_convnext.report.markdown import to_markdown

FLAGS = {"preprocess.image_size": "--image-size", "preprocess.mean": "--mean"}
HALF = (0.5, 0.5, 0.5)
NAMES = ("ant", "bee", "cat")


def info(classes=NAMES, licence=None, **preprocess):
    return ModelInfo(
        "convnextv2_atto", 3, 3, classes, Preprocess(**preprocess), "w.pth", "0" * 64, licence
    )


def splits(*facts, notes=()):
    return Splits(
        None, ImageSet((), NAMES), "by folder: train/, val/", facts=facts, notes=tuple(notes)
    )


def sources(recipe, model, facts=(), data=None):
    settled, _ = settle(recipe, model, facts, data)
    return {one.name: (one.value, one.origin.kind, one.origin.detail) for one in settled}


def test_a_flag_a_recipe_and_a_default_are_told_apart():
    recipe = make_recipe(
        {"preprocess": {"resize": "squash", "image_size": 96}},
        "some/leaves.yaml",
        {"preprocess.image_size": 128},
        FLAGS,
    )
    found = sources(recipe, info(image_size=128))
    assert found["image_size"] == (128, "flag", "--image-size")
    assert found["resize"] == ("squash", "recipe", "leaves.yaml")
    assert found["mean"] == ((0.485, 0.456, 0.406), "default", "")


def test_who_stated_a_value_moves_no_key_and_no_comparison():
    by_flag = make_recipe({}, "recipe", {"preprocess.image_size": 128}, FLAGS)
    by_recipe = make_recipe({"preprocess": {"image_size": 128}}, "mine.yaml")
    assert by_flag == by_recipe
    assert by_flag.model_dump(mode="json") == by_recipe.model_dump(mode="json")
    assert by_flag.model_dump_json() == by_recipe.model_dump_json()
    assert "_stated" not in Recipe.model_json_schema()["properties"]


def test_who_stated_a_value_survives_what_is_changed_later():
    recipe = make_recipe({}, "recipe", {"preprocess.image_size": 128}, FLAGS)
    later = recipe.model_copy(update={"precision": "fp32"})
    assert later.origin("preprocess", "image_size") == Origin("flag", "--image-size")
    assert later.origin("preprocess", "mean") is None


def test_a_shipped_recipe_is_named_by_its_file_alone():
    origin = load_recipe("potato").origin("preprocess", "image_size")
    assert origin == Origin("recipe", "potato.yaml")


def test_the_strongest_source_of_the_value_in_use_is_named():
    facts = (
        Fact("mean", list(HALF), Origin("published", "timm")),
        Fact("mean", HALF, Origin("beside the weights", "preprocessor_config.json: image_mean")),
    )
    found = sources(Recipe(), info(mean=HALF), facts)
    assert found["mean"][1:] == ("beside the weights", "preprocessor_config.json: image_mean")


def test_what_another_source_says_becomes_a_note():
    recipe = make_recipe({}, "recipe", {"preprocess.mean": HALF}, FLAGS)
    facts = (Fact("mean", (0.485, 0.456, 0.406), Origin("checkpoint", "args.mean")),)
    _, notes = settle(recipe, info(mean=HALF), facts, None)
    (note,) = notes
    assert note == (
        "mean: checkpoint (args.mean) says 0.485, 0.456, 0.406; used is 0.5, 0.5, 0.5, "
        "by flag (--mean)."
    )
    same = (Fact("mean", [0.5, 0.5, 0.5000001], Origin("checkpoint", "args.mean")),)
    assert settle(recipe, info(mean=HALF), same, None)[1] == ()


def test_class_names_of_labels_file_and_checkpoint_that_differ_are_told():
    order = ("bee", "ant", "cat")
    facts = (Fact("classes", NAMES, Origin("checkpoint", "class_to_idx")),)
    data = splits(Fact("classes", order, Origin("labels file", "labels.txt")))
    settled, notes = settle(Recipe(), info(order), facts, data)
    assert settled[0] == Fact("classes", order, Origin("labels file", "labels.txt"))
    assert "checkpoint (class_to_idx) says 3: ant, bee, cat" in notes[0]


def test_sorted_folder_names_contradict_no_checkpoint():
    order = ("cat", "ant", "bee")
    facts = (Fact("classes", order, Origin("checkpoint", "classes")),)
    data = splits(Fact("classes", NAMES, Origin("folder names", "sorted as text")))
    assert settle(Recipe(), info(order), facts, data)[1] == ()


def test_settings_come_in_one_order_each_once():
    data = splits(Fact("split", "by folder: train/, val/", Origin("split folders", "x")))
    key = (Fact("weights_key", "model_ema", Origin("checkpoint", "averaged weights")),)
    settled, _ = settle(Recipe(), info(licence="MIT"), key, data)
    assert tuple(one.name for one in settled) == FACT_NAMES
    assert settled[1].origin == Origin("split folders", "x")


def test_defaults_are_told_with_the_flags_that_state_them():
    recipe = make_recipe({"preprocess": {"image_size": 128, "mean": HALF, "std": HALF}})
    settled, _ = settle(recipe, info(image_size=128, mean=HALF, std=HALF), (), None)
    assert default_settings(settled) == ("resize", "crop_pct", "interpolation")
    (note,) = note_defaults(settled)
    assert "--resize, --crop-pct, --interpolation" in note
    assert note_defaults([one for one in settled if one.origin.kind == "recipe"]) == ()


def test_who_squashes_decides_that_nothing_is_cropped():
    recipe = make_recipe({"preprocess": {"resize": "squash"}}, "mine.yaml")
    crop = Fact("crop_pct", 0.875, Origin("checkpoint", "args"))
    settled, (note,) = settle(recipe, info(resize="squash"), (crop,), None)
    assert sources(recipe, info(resize="squash"))["crop_pct"] == (1.0, "recipe", "mine.yaml")
    assert note == "crop_pct: checkpoint (args) says 0.875; used is 1, by recipe (mine.yaml)."
    by_weights = (Fact("resize", "squash", Origin("checkpoint", "args")),)
    settled, _ = settle(Recipe(), info(resize="squash"), by_weights, None)
    assert default_settings(settled) == ("image_size", "interpolation", "mean", "std")


def test_the_block_keeps_to_80_columns_of_plain_text():
    names = tuple(f"class \x1b[31m number {index} of many" for index in range(200))
    origin = Origin("beside the weights", "a" * 60 + "/config.json: id2label")
    notes = ("A note that is long, " * 12, "short")
    settled, _ = settle(Recipe(), info(names), (Fact("classes", names, origin),), splits())
    lines = list(read_lines(settled, notes))
    assert lines[0] == "what I read"
    assert lines[1].startswith("  classes       200: class \\x1b")
    assert all(len(line) <= 80 and line.isprintable() for line in lines)
    assert len(lines) > len(settled) + 3
    assert lines[-1] == "  - short"


def test_the_block_shows_value_and_source_of_each_setting():
    recipe = make_recipe({}, "recipe", {"preprocess.image_size": 128}, FLAGS)
    facts = (Fact("std", HALF, Origin("beside the weights", "config.json: std")),)
    text = "\n".join(read_lines(settle(recipe, info(image_size=128, std=HALF), facts, None)[0]))
    assert "  image_size    128                          --image-size\n" in text
    assert "  std           0.5, 0.5, 0.5                config.json: std\n" in text
    assert "  classes       3: ant, bee, cat             default\n" in text


def test_what_is_too_long_for_a_line_is_wrapped_and_not_cut():
    names = ("Potato___Early_blight", "Potato___Late_blight", "Potato___healthy")
    by = "by folder: train/, val/; not used: test/, and a folder of a long name/"
    facts = (Fact("classes", names, Origin("checkpoint", "class_to_idx")),)
    stated = Fact("split", by, Origin("split folders", by))
    split = Splits(None, ImageSet((), names), by, facts=(stated,))
    lines = list(read_lines(settle(Recipe(), info(names), facts, split)[0]))
    assert all(len(line) <= 80 for line in lines)
    values = " ".join(" ".join(line[16:44].strip() for line in lines).split())
    assert f"3: {', '.join(names)}" in values
    assert by in values
    many = tuple(f"c{index}" for index in range(21))
    assert show_value(Fact("classes", many, Origin("default"))) == "21: c0, c1, c2, c3, c4, ..."
    twenty = show_value(Fact("classes", many[:20], Origin("default")))
    assert twenty.endswith("c18, c19")


def test_means_of_pixels_up_to_255_are_refused_with_what_to_pass():
    flags = {"preprocess.mean": "--mean"}
    with pytest.raises(RecipeError, match=r"divide by 255 \(0\.485,0\.456,0\.406\)"):
        make_recipe({}, "recipe", {"preprocess.mean": (123.675, 116.28, 103.53)}, flags)


@pytest.mark.parametrize(
    ("field", "flag"),
    [("preprocess.crop_pct", "--crop-pct"), ("data.val_fraction", ""), ("train.drop_path", "")],
)
def test_per_cents_where_a_share_is_meant_are_refused_with_the_share(field, flag):
    flags = {field: flag} if flag else None
    with pytest.raises(RecipeError, match=r"87\.5: a share, not per cent: did you mean 0\.875\?"):
        make_recipe({}, "recipe", {field: 87.5}, flags)
    make_recipe({}, "recipe", {field: 0.875}, flags)


def test_the_report_keeps_every_setting_and_folds_it_in_markdown():
    report = example_report().model_copy(
        update={
            "settings": (
                SettingReport(
                    name="classes",
                    value=[f"a|{index}" for index in range(30)],
                    source="beside the weights",
                    detail="config.json: id2label",
                ),
                SettingReport(name="licence", value=None, source="default"),
            )
        }
    )
    assert Report.model_validate_json(report.to_json()).settings == report.settings
    text = to_markdown(report)
    start = text.index("<details><summary>What was read, and from where</summary>\n\n| setting")
    block = text[start : text.index("</details>", start)]
    assert "| classes | a\\|0, a\\|1," in block
    assert ", ... (30) | beside the weights (config.json: id2label) |" in block
    assert "| licence | - | default |" in block
    assert "<details>" not in to_markdown(example_report())


def test_who_split_is_told_though_images_were_left_out_since():
    said = Fact("split", "by folder: train/, val/", Origin("split folders", "by folder"))
    data = splits(said)
    data = replace(data, note="by folder: train/, val/; 2 training copies left out")
    settled, _ = settle(make_recipe({}, "command line", {}), info(), (), data)
    found = next(one for one in settled if one.name == "split")
    assert (found.value, found.origin.kind) == (data.note, "split folders")


def test_a_rectangle_is_shown_and_compared_by_both_its_sides():
    stated = Fact("image_size", [96, 64], Origin("checkpoint", "args"))
    recipe = make_recipe({}, "recipe", {"preprocess.image_size": (64, 96)}, FLAGS)
    settled, (note,) = settle(recipe, info(image_size=(64, 96)), (stated,), None)
    (size,) = (one for one in settled if one.name == "image_size")
    assert (size.value, size.origin.kind, show_value(size)) == ((64, 96), "flag", "64 x 96")
    assert (
        note
        == "image_size: checkpoint (args) says 96 x 64; used is 64 x 96, by flag (--image-size)."
    )
    same = Fact("image_size", [64, 96], Origin("checkpoint", "args"))  # as a cache entry has it
    assert settle(Recipe(), info(image_size=(64, 96)), (same,), None)[1] == ()
