import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.training_images import LIVELY, PLAIN

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import DataError, LoadError, TrainingError
from edge_convnext.core.sections import DataConfig, LoadConfig
from edge_convnext.data.batches import iter_batches
from edge_convnext.data.digits import ensure_digits
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.splits import Splits, load_splits
from edge_convnext.networks.convnext.build import build_network
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.tensors import read_state
from edge_convnext.networks.training import loop
from edge_convnext.networks.training.train import train
from edge_convnext.stages.load import load_weights

PREPROCESS = Preprocess(image_size=32, resize="squash", mean=(0.5,) * 3, std=(0.5,) * 3)
FROZEN = PLAIN.model_copy(update={"epochs": 1, "lr": 1e-12, "weight_decay": 0.0, "ema_decay": 0.0})


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Zeros to threes: 144 images of real handwriting on each side."""
    folder = ensure_digits(tmp_path_factory.mktemp("data") / "digits")
    splits = load_splits(folder, DataConfig(val_fraction=0.5), seed=0)
    assert splits.train is not None
    return replace(splits, train=take(splits.train, 4, 36), val=take(splits.val, 4, 36))


def take(images, classes, per_class):
    chosen = []
    for label in range(classes):
        chosen += [sample for sample in images.samples if sample.label == label][:per_class]
    return ImageSet(tuple(chosen), images.classes[:classes])


@pytest.fixture
def few(digits):
    return replace(digits, train=take(digits.train, 2, 16), val=take(digits.val, 2, 16))


def test_training_learns_digits_and_saves_what_build_needs(digits, tmp_path):
    rows, ticks = [], []

    def track(items, what, total=None):
        for item in items:
            ticks.append(what)
            yield item

    output = tmp_path / "w.safetensors"
    config = PLAIN.model_copy(update={"epochs": 12})
    result = train("atto", digits, PREPROCESS, config, output, track=track, on_epoch=rows.append)

    assert rows == list(result.rows)
    assert [row.epoch for row in rows] == list(range(1, 13))
    assert rows[-1].loss < 0.5 * rows[0].loss
    assert result.top1_pct > 80
    assert result.top1_pct == rows[-1].top1_pct
    assert ticks.count("training") == 12 * (144 // 32)
    assert ticks.count("reading validation images") == 144

    loaded = load_weights(LoadConfig(weights=str(output)), "atto", 0, tmp_path / "l.safetensors")
    assert loaded.info.classes == ("0", "1", "2", "3")
    assert loaded.info.preprocess == PREPROCESS
    assert loaded.info.weights_licence is None
    network = build_network(loaded, "raw")
    images = torch.from_numpy(
        np.concatenate(list(iter_batches(digits.val.samples, PREPROCESS, 50)))
    )
    labels = torch.tensor([sample.label for sample in digits.val.samples])
    with torch.inference_mode():
        correct = network(images).argmax(dim=1) == labels
    assert 100 * correct.float().mean() == pytest.approx(result.top1_pct)


def test_v1_learns_too(digits, tmp_path):
    config = PLAIN.model_copy(update={"epochs": 12})
    output = tmp_path / "w.safetensors"
    result = train("convnextv1_atto", digits, PREPROCESS, config, output)
    assert result.top1_pct > 80
    assert open_weights(output).architecture.version == 1


@pytest.mark.parametrize("bfloat16", [True, False])
def test_the_same_seed_gives_the_same_file_and_another_does_not(few, tmp_path, bfloat16):
    config = LIVELY.model_copy(update={"epochs": 1, "bfloat16": bfloat16})
    outputs = []
    for position, seed in enumerate((0, 0, 1)):
        torch.manual_seed(position)  # the caller's generator must not matter
        output = tmp_path / f"{position}.safetensors"
        train("atto", few, PREPROCESS, config, output, seed)
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
    assert outputs[0] != outputs[2]


def test_training_leaves_the_callers_random_generator_alone(few, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train("atto", few, PREPROCESS, LIVELY, tmp_path / "w.safetensors")
    assert torch.equal(torch.rand(3), expected)


def test_a_killed_run_resumes_to_the_same_weights(few, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_STATE_SHARE", math.inf)
    config = LIVELY.model_copy(update={"epochs": 5, "drop_path": 0.3})
    whole = train("atto", few, PREPROCESS, config, tmp_path / "whole.safetensors", 3)

    def kill(row):
        if row.epoch == 3:
            raise KilledError

    output = tmp_path / "w.safetensors"
    with pytest.raises(KilledError):
        train("atto", few, PREPROCESS, config, output, 3, on_epoch=kill)
    assert not output.exists()
    assert (tmp_path / "w.safetensors.state").exists()

    ticks = []
    resumed = train(
        "atto",
        few,
        PREPROCESS,
        config,
        output,
        3,
        resume=True,
        track=lambda items, what, total=None: ticks.append((what, total)) or items,
    )
    assert ("training", 2) in ticks  # one update an epoch
    assert output.read_bytes() == whole.path.read_bytes()
    assert [(row.epoch, row.loss, row.top1_pct) for row in resumed.rows] == [
        (row.epoch, row.loss, row.top1_pct) for row in whole.rows
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "w.safetensors",
        "whole.safetensors",
    ]


def test_resuming_where_nothing_was_left_starts_afresh(few, tmp_path):
    outputs = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    train("atto", few, PREPROCESS, PLAIN, outputs[0])
    train("atto", few, PREPROCESS, PLAIN, outputs[1], resume=True)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_a_file_in_the_place_of_the_state_is_not_overwritten(few, tmp_path):
    mine = tmp_path / "w.safetensors.state"
    for content in (b"years of work", b""):
        mine.write_bytes(content)
        with pytest.raises(TrainingError, match=r"state: would be overwritten.*no training wrote"):
            train("atto", few, PREPROCESS, PLAIN, tmp_path / "w.safetensors")
        assert mine.read_bytes() == content


def test_a_state_of_other_settings_or_a_damaged_one_is_refused(few, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_STATE_SHARE", math.inf)
    output, state = tmp_path / "w.safetensors", tmp_path / "s"

    def kill(row):
        raise KilledError

    with pytest.raises(KilledError):
        train("atto", few, PREPROCESS, PLAIN, output, state_path=state, on_epoch=kill)
    with pytest.raises(TrainingError, match="other settings"):
        train("atto", few, PREPROCESS, PLAIN, output, 1, resume=True, state_path=state)
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="move it away to start afresh"):
        train("atto", few, PREPROCESS, PLAIN, output, resume=True, state_path=state)


def test_the_file_holds_averaged_weights(few, tmp_path):
    states = {}
    for decay in (0.0, 0.99):
        output = tmp_path / f"{decay}.safetensors"
        config = PLAIN.model_copy(update={"ema_decay": decay})
        train("atto", few, PREPROCESS, config, output)
        states[decay] = read_state(output)["head.fc.weight"]
    # One seed, so the same run: averaged over 3 updates with weights 0.9, 9/11 and 3/4 of the
    # newest, against the newest alone.
    assert not torch.equal(states[0.0], states[0.99])
    assert torch.allclose(states[0.0], states[0.99], atol=1e-2)


def test_fine_tuning_takes_the_backbone_and_draws_a_new_head(digits, few, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train("atto", digits, PREPROCESS, PLAIN, first)
    train("atto", few, PREPROCESS, FROZEN, second, init=first)
    before, after = read_state(first), read_state(second)
    assert after["head.fc.weight"].shape == (2, 32)
    for name in before.keys() - {"head.fc.weight", "head.fc.bias"}:
        assert torch.allclose(before[name], after[name], atol=1e-6), name
    assert open_weights(second).info.classes == ("0", "1")


def test_fine_tuning_on_the_same_classes_keeps_the_head(few, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train("atto", few, PREPROCESS, PLAIN, first)
    train("atto", few, PREPROCESS, FROZEN, second, seed=9, init=first)
    weight = "head.fc.weight"
    assert torch.allclose(read_state(first)[weight], read_state(second)[weight], atol=1e-6)
    renamed = replace(few, train=replace(few.train, classes=("left", "right")))
    train("atto", renamed, PREPROCESS, FROZEN, second, seed=9, init=first)
    assert not torch.allclose(read_state(first)[weight], read_state(second)[weight], atol=1e-3)


def test_fine_tuning_inherits_the_licence_of_published_weights(few, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train("atto", few, PREPROCESS, FROZEN, first)
    name = "models--timm--convnextv2_atto.fcmae_ft_in1k"
    published = tmp_path / name / "snapshots" / "0123abc" / "model.safetensors"
    published.parent.mkdir(parents=True)
    save_file(read_state(first), published)
    train("atto", few, PREPROCESS, FROZEN, second, init=published)
    assert open_weights(second).info.weights_licence == "CC BY-NC 4.0"
    train("atto", few, PREPROCESS, FROZEN, first, init=second)
    assert open_weights(first).info.weights_licence == "CC BY-NC 4.0"


def test_fine_tuning_refuses_another_model(few, tmp_path):
    first = tmp_path / "first.safetensors"
    train("atto", few, PREPROCESS, FROZEN, first)
    with pytest.raises(LoadError, match="weights are convnextv2_atto, not convnextv1"):
        train("convnextv1_atto", few, PREPROCESS, FROZEN, tmp_path / "w.safetensors", init=first)


def test_a_diverged_loss_stops_with_advice(few, tmp_path):
    config = PLAIN.model_copy(update={"lr": 1e30, "epochs": 4})
    with pytest.raises(
        TrainingError, match=r"diverged: .* lower --lr \(train\.lr in a.*--no-resume"
    ):
        train("atto", few, PREPROCESS, config, tmp_path / "w.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_gpu_that_is_too_small_is_told_with_flags(few, tmp_path, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop.Trainer, "fit", fail)
    told = (
        r"too little free memory for batches of \d+ at 32 px; close other programs on it, "
        r"lower --batch or --image-size, or pass --device cpu\Z"
    )
    with pytest.raises(TrainingError, match=told):
        train("atto", few, PREPROCESS, PLAIN, tmp_path / "w.safetensors")


def test_a_training_that_leaves_nothing_leaves_no_folder(few, tmp_path, monkeypatch):
    def fail(*_):
        raise TrainingError("diverged")

    monkeypatch.setattr(loop.Trainer, "fit", fail)
    with pytest.raises(TrainingError, match="diverged"):
        train("atto", few, PREPROCESS, PLAIN, tmp_path / "new" / "deep" / "w.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "w.pth"}, r"named \*\.safetensors; pass --out .*/w\.safetensors\Z"),
        ({"output": "blocker/w.safetensors"}, "can't be written"),
        ({"preprocess": Preprocess(image_size=31)}, "pass --image-size 32 or more"),
    ],
)
def test_what_can_not_work_is_refused_before_training(few, tmp_path, change, message):
    (tmp_path / "blocker").write_text("a file")
    arguments = {"output": "w.safetensors", "preprocess": PREPROCESS, **change}
    output = tmp_path / arguments["output"]
    with pytest.raises(TrainingError, match=message):
        train("atto", few, arguments["preprocess"], PLAIN, output)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_named(few, tmp_path):
    with pytest.raises(TrainingError, match="no CUDA GPU"):
        train("atto", few, PREPROCESS, PLAIN, tmp_path / "w.safetensors", device="cuda")


def test_training_needs_labelled_images_that_can_be_read(few, tmp_path):
    output = tmp_path / "w.safetensors"
    with pytest.raises(DataError, match="training side"):
        train("atto", Splits(None, few.val, "only val/ found"), PREPROCESS, PLAIN, output)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    for sample, message in (
        (Sample(bad, "00", 0), "bad.png"),
        (replace(few.val.samples[0], label=None), "without a label"),
    ):
        train_set = ImageSet((*few.train.samples, sample), few.train.classes)
        with pytest.raises(DataError, match=message):
            train("atto", replace(few, train=train_set), PREPROCESS, PLAIN, output)
    assert not output.exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_learns_digits(digits, tmp_path):
    config = PLAIN.model_copy(update={"epochs": 12, "bfloat16": True})
    result = train("atto", digits, PREPROCESS, config, tmp_path / "w.safetensors", device="cuda")
    assert result.device == "cuda"
    assert result.top1_pct > 80


def test_images_of_a_rectangle_are_learnt_and_the_weights_say_their_size(few, tmp_path):
    wide = replace(PREPROCESS, image_size=(32, 48))
    config = LIVELY.model_copy(update={"epochs": 1, "rotate_deg": 10.0})
    result = train("atto", few, wide, config, tmp_path / "w.safetensors")
    assert result.epochs == 1
    info = load_weights(
        LoadConfig(weights=str(result.path)), "atto", 0, tmp_path / "l.safetensors"
    ).info
    assert (info.preprocess, info.preprocess.height, info.preprocess.width) == (wide, 32, 48)
    with pytest.raises(TrainingError, match="images of 64 x 31 px are too small"):
        train("atto", few, replace(wide, image_size=(64, 31)), config, tmp_path / "x.safetensors")


def test_any_network_that_torch_makes_is_trained(few, tmp_path, monkeypatch):
    from support import open_family

    open_family.install(monkeypatch)
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    config = PLAIN.model_copy(update={"epochs": 2, "bfloat16": "auto"})
    result = train("open:net", few, PREPROCESS, config, first)
    (told,) = result.notes
    assert told.startswith("trained in ")
    weights = open_weights(first)
    assert (weights.info.model, weights.info.classes) == ("open:net", ("0", "1"))
    network = open_family.FAMILY.build(weights, "raw")
    assert network[1].num_batches_tracked > 0
    assert network[1].running_var.min() > 0
    # Its classifier is known by the classes, and kept or drawn anew as ConvNeXt's.
    renamed = replace(few, train=replace(few.train, classes=("left", "right")))
    for splits, kept in ((few, True), (renamed, False)):
        train("open:net", splits, PREPROCESS, FROZEN, second, seed=9, init=first)
        before, after = read_state(first), read_state(second)
        assert torch.allclose(before["4.weight"], after["4.weight"], atol=1e-6)
        assert torch.allclose(before["7.weight"], after["7.weight"], atol=1e-3) == kept


def test_a_network_without_a_torch_form_is_refused(few, tmp_path, monkeypatch):
    from support import open_family

    open_family.install(monkeypatch)
    monkeypatch.setattr(type(open_family.FAMILY), "trainable", False)
    with pytest.raises(TrainingError, match="open:net can't be trained: Open has no torch form"):
        train("open:net", few, PREPROCESS, PLAIN, tmp_path / "w.safetensors")
