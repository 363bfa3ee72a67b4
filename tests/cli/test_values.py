from pathlib import Path

import pytest
import typer

from edge_convnext.cli.values import (
    as_batch,
    as_folder,
    as_source,
    as_text,
    as_three_numbers,
    check_image_size,
    one_of,
)
from edge_convnext.core.errors import ArtifactError, RecipeError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", (0.5, 0.5, 0.5)),
        ("0.485,0.456,0.406", (0.485, 0.456, 0.406)),
        ("0.485 0.456 0.406", (0.485, 0.456, 0.406)),
        ("[0.485, 0.456, 0.406]", (0.485, 0.456, 0.406)),
    ],
)
def test_mean_and_std_are_one_number_or_three(text, value):
    assert as_three_numbers("--mean", text) == as_three_numbers("--std", text) == value


@pytest.mark.parametrize("text", ["", "imagenet", "0.5,0.5", "1,2,3,4", "0.5;0.5;0.5"])
def test_other_texts_are_refused_with_an_example(text):
    with pytest.raises(RecipeError, match=r"--std .*such as --std 0\.229,0\.224,0\.225"):
        as_three_numbers("--std", text)
    with pytest.raises(RecipeError, match=r"--mean .*such as --mean 0\.485,0\.456,0\.406"):
        as_three_numbers("--mean", text)


@pytest.mark.parametrize(
    ("text", "value"), [("4", 4), ("dynamic", "dynamic"), ("-1", "-1"), ("4.0", "4.0")]
)
def test_a_batch_is_a_number_or_stays_a_word_for_the_recipe_to_judge(text, value):
    assert as_batch("--export-batch", text) == value


def test_paths_are_text_in_a_recipe():
    assert as_text("--labels", Path("a/labels.txt")) == str(Path("a/labels.txt"))


def test_only_a_folder_called_digits_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert as_source("--data", Path("digits")) == "digits"  # the bundled ones
    for name in ("digits", "leaves"):
        (tmp_path / name).mkdir()
    assert as_source("--data", Path("digits")) == str(tmp_path / "digits")
    assert as_source("--data", Path("leaves")) == "leaves"


def test_every_item_of_a_list_is_one_of_the_choices():
    check = one_of(("cpu", "rtx"))
    assert check(["rtx", "cpu"]) == ["rtx", "cpu"]
    assert check(None) is None
    with pytest.raises(typer.BadParameter, match=r"'rtxx' is not one of 'cpu', 'rtx'\."):
        check(["cpu", "rtxx"])


@pytest.mark.parametrize(
    ("text", "size"), [("96", 96), ("64,96", (64, 96)), ("64x96", (64, 96)), (None, None)]
)
def test_an_image_size_is_one_number_or_height_and_width(text, size):
    assert check_image_size(text) == size


def test_what_is_no_image_size_is_refused_in_one_line():
    for text in ("1,2,3", "64.5", "64x"):
        with pytest.raises(RecipeError, match=f"^--image-size '{text}' is not one number") as told:
            check_image_size(text)
        assert "\n" not in str(told.value)
    with pytest.raises(typer.BadParameter, match="'wide' is not one number for a square"):
        check_image_size("wide")


def test_the_report_stands_for_its_folder_and_another_file_for_none(tmp_path):
    report, model = tmp_path / "report.json", tmp_path / "model.int8.onnx"
    for path in (report, model):
        path.touch()
    assert as_folder(None) is None
    assert as_folder(report) == as_folder(tmp_path) == tmp_path
    assert as_folder(tmp_path / "none") == tmp_path / "none"  # the command says what is missing
    with pytest.raises(ArtifactError, match=r"is a file; pass the folder .* or the report\.json"):
        as_folder(model)


@pytest.mark.parametrize(
    "line",
    ["bundle {} -o x.ecb", "card {}", "deploy {} --format python -o x", "merge {} x", "recover {}",
     "sensitivity {}", "verify {}", "verify . --same-as {}"],
)  # fmt: skip
def test_every_command_on_a_build_takes_its_report_and_refuses_a_model(call, tmp_path, line):
    (tmp_path / "model.int8.onnx").touch()
    code, out, err = call(*line.format("model.int8.onnx").split())
    assert (code, out) == (3, "")
    assert err == (
        "error: model.int8.onnx: is a file; pass the folder of a build, or the report.json in it\n"
    )
    (tmp_path / "report.json").write_text("{}")
    assert "report.json/" not in call(*line.format("report.json").split())[2]
