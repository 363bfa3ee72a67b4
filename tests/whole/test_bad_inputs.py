"""What a user can get wrong: one line, exit code 3, nothing left behind."""

import os
import pickle
import shutil
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.builds import run_command, scratch, write_checkpoint, write_images

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.cli import main

CLASSES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """`images/` and `weights.pth` that are fine."""
    root = tmp_path_factory.mktemp("inputs")
    counts = {f"{side}/{name}": 2 for side in ("train", "val") for name in CLASSES}
    write_images(root / "images", counts)
    write_checkpoint(root / "weights.pth", len(CLASSES))
    return root


@pytest.fixture
def folder(tmp_path, inputs, monkeypatch):
    """A working folder with copies to spoil."""
    shutil.copytree(inputs, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def refuse(folder, monkeypatch, capfd):
    """Run a build that must fail, and return its one line."""
    cache = folder.parent / "cache"
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(cache))
    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments, out="out", weights="weights.pth", data="images"):
        line = ["build", "--image-size", "32", "--out", str(out), "--quiet"]
        line += ["--weights", str(weights)] if weights else []
        line += ["--data", str(data)] if data else []
        monkeypatch.setattr(sys, "argv", ["edge-convnext", *line, *map(str, arguments)])
        before = sorted(folder.rglob("*"))
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        assert exit_.value.code == 3, captured.err
        assert captured.out == ""
        assert captured.err.count("\n") == 1, captured.err
        assert captured.err.startswith("error: ")
        assert sorted(folder.rglob("*")) == before
        assert scratch(cache) == []
        assert not (cache / "export").exists()  # found out before the long work
        return captured.err.removeprefix("error: ").rstrip()

    yield run
    signal.signal(signal.SIGINT, handler)


def spoil(folder, change):
    """Save the checkpoint again after `change(state)`."""
    content = torch.load(folder / "weights.pth", weights_only=True)
    change(content["model"])
    torch.save(content, folder / "weights.pth")


def test_no_such_weights(refuse):
    assert refuse(weights="missing.pth").startswith("missing.pth: no such file; pass a checkpoint")


def test_truncated_weights(refuse, folder):
    path = folder / "weights.pth"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refuse().startswith("weights.pth: damaged, truncated or no checkpoint")


def test_weights_that_would_run_code(refuse, folder):
    class Code:
        def __reduce__(self):
            return (os.mkdir, (str(folder / "ran"),))

    torch.save({"model": {}, "extra": Code()}, folder / "code.pth")
    (folder / "plain.pth").write_bytes(pickle.dumps(Code()))
    for name in ("code.pth", "plain.pth"):
        assert "loading such can run code; save model.state_dict() alone" in refuse(weights=name)
        assert not (folder / "ran").exists()


def test_weights_that_are_not_numbers(refuse, folder):
    def break_one(state):
        state["stages.2.3.pwconv1.weight"][0, 0] = float("nan")

    spoil(folder, break_one)
    assert "'stages.2.3.pwconv1.weight' holds NaN" in refuse()


def test_weights_of_another_size(refuse):
    message = refuse("--model", "pico")
    assert message.endswith("are convnextv2_atto, not convnextv2_pico: pass --model atto")


def test_weights_that_are_incomplete_or_of_something_else(refuse, folder):
    spoil(folder, lambda state: state.pop("stages.2.3.pwconv1.weight"))
    assert refuse().startswith("weights.pth: ")
    torch.save({"fc.weight": torch.zeros(2, 2)}, folder / "weights.pth")
    assert "not a ConvNeXt" in refuse()


def test_a_folder_or_a_model_instead_of_weights(refuse, folder):
    (folder / "model.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    assert "model.onnx: empty, or not ONNX" in refuse(weights="model.onnx")
    message = refuse("--model", "atto", weights="model.onnx")
    assert "model.onnx is an ONNX file, which brings its own network" in message
    assert message.endswith("or pass the checkpoint that it was exported from")
    assert refuse(weights="images").startswith("images: ")


def test_a_corrupt_jpeg(refuse, folder):
    path = folder / "images" / "train" / "ant" / "9.jpg"
    Image.effect_noise((64, 64), 90).save(path)
    path.write_bytes(path.read_bytes()[:900])
    message = refuse()
    assert message.startswith("images/train/ant/9.jpg: can't be decoded")
    assert message.endswith("repair or remove it, or pass --skip-bad-images")


def test_a_class_folder_without_images(refuse, folder):
    (folder / "images" / "val" / "dog").mkdir()
    assert refuse().startswith("images/val/dog: class folder without images")


def test_no_such_data_or_data_in_an_archive(refuse, folder):
    assert refuse(data="missing").startswith("missing: no such folder or CSV")
    (folder / "images.zip").write_bytes(b"PK")
    assert "unpack an archive first" in refuse(data="images.zip")


@pytest.mark.parametrize("side", ["val", "val/ant"])
def test_calibration_images_that_are_evaluated_too(refuse, side):
    message = refuse("--calibration", f"images/{side}")
    assert message.startswith("images/val/ant/0.png: this and ")
    assert "in the evaluation set, so the measured accuracy would not be honest" in message


def test_a_group_on_both_sides(refuse, folder):
    rows = ["path,label,split,group"]
    for side in ("train", "val"):
        rows += [f"images/{side}/{name}/0.png,{name},{side},leaf-{name}" for name in CLASSES]
    (folder / "data.csv").write_text("\n".join(rows))
    assert "group 'leaf-ant' is on both sides" in refuse(data="data.csv")


def test_data_of_another_number_of_classes(refuse, folder):
    (folder / "images" / "val" / "dog").mkdir()
    Image.new("RGB", (40, 48), (9, 80, 200)).save(folder / "images" / "val" / "dog" / "0.png")
    assert "the data has 4 classes (ant, bee, cat, dog), the weights 3" in refuse()
    for side in ("train", "val"):
        for name in ("dog", "cat"):
            shutil.rmtree(folder / "images" / side / name, ignore_errors=True)
    assert "the data has 2 classes (ant, bee), the weights 3" in refuse()


def test_no_images_to_calibrate_with(refuse, folder):
    assert refuse(data=None).startswith("INT8 needs calibration images: pass --data DIR")
    shutil.rmtree(folder / "images" / "train")
    assert "it has an evaluation side alone" in refuse()


def test_no_weights(refuse):
    assert refuse(weights=None).startswith("no weights: pass --weights FILE")


def test_an_output_that_is_a_file_or_lies_below_one(refuse):
    assert refuse(out="weights.pth").startswith("weights.pth: is a file")
    assert refuse(out="weights.pth/out").startswith("weights.pth/out: can't be written")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
def test_an_output_in_proc(refuse):
    assert refuse(out="/proc/build/out").startswith("/proc/build/out: can't be written")


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write anywhere")
def test_an_output_in_a_read_only_folder(refuse, folder):
    (folder / "closed").mkdir(mode=0o555)
    assert refuse(out="closed/out").startswith("closed/out: can't be written (Permission denied)")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("quantise:\n  placement: all\n", "unknown key 'quantise': did you mean 'quantize'?"),
        ("quantize:\n  subset: 3\n", "did you mean 'quantize.subset_size'?"),
        ("quantize: [\n", "not YAML"),
        ("- 1\n", "a recipe is a mapping of sections, not a list"),
        (
            "targets: [gpu]\n",
            "'targets' is 'gpu': input should be 'cpu', 'arm-cpu', 'rtx' or 'tensorrt'",
        ),
        ("benchmark: {batches: []}\n", "'benchmark.batches' is []: "),
        ("1: 2\n", "'1' is 1: keys should be strings"),
    ],
)
def test_a_recipe_that_is_none(refuse, folder, text, reason):
    (folder / "recipe.yaml").write_text(text)
    message = refuse("--recipe", "recipe.yaml")
    assert message.startswith("recipe.yaml: ")
    assert reason in message


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("--recipe potatoe", "no recipe 'potatoe'"),
        ("--image-size 31", "--image-size 31: input should be greater"),
        ("--batch 0", "--batch 0: input should be greater than or equal to 1"),
        ("--export-batch many", "--export-batch 'many': "),
        ("--max-drop nan", "--max-drop nan: input should be a finite number"),
        ("--opset 17", "--opset 17: "),
        ("--no-fold --form linear", "the form 'linear' is written on folded weights"),
        ("--export-batch 4 --batch 1", "a graph of batch 4 can't be timed at batch 1"),
    ],
)
def test_flags_that_make_no_sense(refuse, flags, reason):
    assert reason in refuse(*flags.split())


def test_a_process_of_its_own_says_no_more(folder):
    """As above, with everything that a fresh interpreter and its libraries may print."""
    cache = folder.parent / "cache"
    (folder / "weights.pth").write_bytes(b"PK\x03\x04 no checkpoint")
    result = run_command(
        "build", "--weights", "weights.pth", "--data", "images", "--quiet", cwd=folder, cache=cache
    )
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: weights.pth: damaged")
    assert scratch(cache) == []
    assert not (folder / "build").exists()
