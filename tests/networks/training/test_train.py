import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import DataError, LoadError, TrainingError
from edge_convnext.core.recipe import DataConfig, LoadConfig, TrainConfig
from edge_convnext.data import ImageSet, Sample, Splits, ensure_digits, iter_batches, load_splits
from edge_convnext.networks.convnext.build import build_network
from edge_convnext.networks.convnext.modules import ConvNeXt
from edge_convnext.networks.convnext.sizes import SIZES, Architecture
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.tensors import read_state
from edge_convnext.networks.training import loop
from edge_convnext.networks.training import pixels as pixels_module
from edge_convnext.networks.training.augment import augment, normalize
from edge_convnext.networks.training.loop import weight_decay_groups
from edge_convnext.networks.training.pixels import MemoryPixels, StreamedPixels, load_pixels
from edge_convnext.networks.training.schedule import derive_seed, ema_decay, learning_rate
from edge_convnext.networks.training.train import train
from edge_convnext.stages.load import load_weights

PREPROCESS = Preprocess(image_size=32, resize="squash", mean=(0.5,) * 3, std=(0.5,) * 3)
PLAIN = TrainConfig(
    epochs=3,
    batch=32,
    lr=4e-3,
    warmup_epochs=0.5,
    label_smoothing=0.0,
    ema_decay=0.9,
    hflip=False,
    min_crop_area=1.0,
    color_jitter=0.0,
    bfloat16=False,
)
LIVELY = PLAIN.model_copy(
    update={"hflip": True, "min_crop_area": 0.5, "rotate_deg": 10.0, "color_jitter": 0.2}
)
FROZEN = PLAIN.model_copy(update={"epochs": 1, "lr": 1e-12, "weight_decay": 0.0, "ema_decay": 0.0})


class KilledError(Exception):
    pass


@pytest.fixture(autouse=True)
def tiny_atto(monkeypatch):
    monkeypatch.setitem(SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))


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


def pixels(count=4, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)


def draw(images, config, size=8, seed=0):
    return augment(images, size, config, torch.Generator().manual_seed(seed))


def test_the_learning_rate_warms_up_linearly_and_falls_as_a_cosine():
    rates = [learning_rate(step, 110, 10, 1.0) for step in range(110)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.5)
    assert rates[109] == pytest.approx(0.5 * (1 + math.cos(0.99 * math.pi)))
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_learning_rate_needs_no_warm_up():
    assert learning_rate(0, 10, 0, 0.1) == pytest.approx(0.1)
    assert learning_rate(0, 1, 1, 0.1) == pytest.approx(0.1)


def test_the_average_follows_closely_at_first_and_slowly_later():
    assert ema_decay(0, 0.99) == pytest.approx(0.1)
    assert ema_decay(90, 0.99) == pytest.approx(0.91)
    assert ema_decay(10_000, 0.99) == 0.99
    assert ema_decay(10_000, 0.0) == 0.0


def test_a_seed_serves_one_purpose_and_stays_the_same():
    seeds = {derive_seed(seed, what, epoch) for seed in (0, 1) for what in "ab" for epoch in (1, 2)}
    assert len(seeds) == 8
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)


@pytest.mark.parametrize("size", [8, 12])
def test_augmentation_keeps_shape_dtype_and_range(size):
    config = LIVELY.model_copy(update={"vflip": True, "color_jitter": 0.9})
    images = draw(pixels(), config, size)
    assert images.shape == (4, 3, size, size)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.isfinite().all()


def test_augmentation_is_decided_by_its_seed():
    assert torch.equal(draw(pixels(), LIVELY, seed=1), draw(pixels(), LIVELY, seed=1))
    assert not torch.equal(draw(pixels(), LIVELY, seed=1), draw(pixels(), LIVELY, seed=2))


def test_augmentation_that_is_switched_off_changes_no_pixel():
    images = pixels()
    expected = images.permute(0, 3, 1, 2) / 255
    assert torch.allclose(draw(images, PLAIN), expected, atol=1e-5)


@pytest.mark.parametrize(("flip", "axis"), [("hflip", 3), ("vflip", 2)])
def test_a_flip_mirrors_about_half_of_the_images(flip, axis):
    images = pixels(count=64)
    flipped = draw(images, PLAIN.model_copy(update={flip: True}))
    plain = images.permute(0, 3, 1, 2) / 255
    same = (flipped - plain).abs().amax(dim=(1, 2, 3)) < 1e-4
    mirrored = (flipped - plain.flip(axis)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (same ^ mirrored).all()
    assert 16 < int(mirrored.sum()) < 48


def test_a_crop_is_a_part_of_the_image_and_never_looks_outside():
    ramp = torch.arange(64, dtype=torch.uint8).view(1, 1, 64, 1).expand(50, 64, 64, 3)
    images = draw(ramp, PLAIN.model_copy(update={"min_crop_area": 0.3}), size=64)[:, 0] * 255
    left, right = images[:, :, 0], images[:, :, -1]
    assert torch.allclose(left, left[:, :1].expand_as(left), atol=1e-3)  # not rotated
    share = (right - left)[:, 0] / 63
    assert share.max() <= 1 + 1e-4
    assert share.min() > 0.4
    assert share.std() > 0.05


def test_a_turn_keeps_lengths_and_the_centre():
    disc = torch.zeros(20, 65, 65, 3, dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(65) - 32, torch.arange(65) - 32, indexing="ij")
    disc[:, x**2 + y**2 < 400] = 200
    turned = draw(disc, PLAIN.model_copy(update={"rotate_deg": 180.0}), size=65)
    assert (turned.sum(dim=(1, 2, 3)) * 255 / disc[0].sum()).sub(1).abs().max() < 0.02
    hand = torch.zeros(20, 65, 65, 3, dtype=torch.uint8)
    hand[:, 31:34, 50:] = 255
    turned = draw(hand, PLAIN.model_copy(update={"rotate_deg": 180.0}), size=65)[:, 0]
    tips = {divmod(int(place), 65) for place in turned.flatten(1).argmax(dim=1)}
    assert len(tips) > 10
    assert all(17 < math.hypot(row - 32, column - 32) < 46 for row, column in tips)


def test_colour_jitter_leaves_grey_images_grey():
    grey = pixels()[..., :1].expand(-1, -1, -1, 3)
    images = draw(grey, PLAIN.model_copy(update={"color_jitter": 0.5}))
    assert torch.allclose(images[:, 0], images[:, 2], atol=1e-6)
    assert not torch.allclose(images[:, 0], grey[..., 0] / 255, atol=1e-2)


def test_normalised_images_are_what_evaluation_feeds():
    images = pixels().permute(0, 3, 1, 2) / 255
    normal = normalize(images, Preprocess())
    mean, std = (np.reshape(v, (3, 1, 1)) for v in (Preprocess.mean, Preprocess.std))
    assert normal.is_contiguous(memory_format=torch.channels_last)
    assert np.allclose(normal.numpy(), (images.numpy() - mean) / std, atol=1e-5)


@pytest.mark.parametrize("version", [1, 2])
def test_only_matrices_and_kernels_decay(version):
    network = ConvNeXt(Architecture("tiny", version, (1, 1, 1, 1), (4, 4, 4, 4), 3))
    decaying, rest = weight_decay_groups(network, 0.05)
    names = {parameter: name for name, parameter in network.named_parameters()}
    assert decaying["weight_decay"] == 0.05
    assert rest["weight_decay"] == 0.0
    assert len(decaying["params"]) + len(rest["params"]) == len(names)
    for parameter in rest["params"]:
        assert names[parameter].endswith(("bias", "norm.weight", "gamma", "beta"))
    for parameter in decaying["params"]:
        assert names[parameter].endswith(
            ("conv.weight", "pwconv1.weight", "pwconv2.weight", "fc.weight")
        )


def test_streamed_images_are_those_held_in_memory(monkeypatch):
    images = pixels(count=20)
    order = torch.split(torch.randperm(20, generator=torch.Generator().manual_seed(0)), 3)
    args = (lambda index: images[index].numpy(), 20, 8, torch.device("cpu"), "reading", show)
    held = load_pixels(*args)
    monkeypatch.setattr(pixels_module, "MEMORY_LIMIT_BYTES", 100)
    streamed = load_pixels(*args)
    assert isinstance(held, MemoryPixels)
    assert isinstance(streamed, StreamedPixels)
    for left, right, indices in zip(
        held.batches(order), streamed.batches(order), order, strict=True
    ):
        assert torch.equal(left, images[indices])
        assert torch.equal(left, right)


def show(items, what, total=None):
    return items


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
    with pytest.raises(TrainingError, match="delete it to start afresh"):
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
    with pytest.raises(LoadError, match="from convnextv2_atto"):
        train("convnextv1_atto", few, PREPROCESS, FROZEN, tmp_path / "w.safetensors", init=first)


def test_a_diverged_loss_stops_with_advice(few, tmp_path):
    config = PLAIN.model_copy(update={"lr": 1e30, "epochs": 4})
    with pytest.raises(TrainingError, match=r"diverged: .* lower train\.lr"):
        train("atto", few, PREPROCESS, config, tmp_path / "w.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "w.pth"}, "safetensors"),
        ({"output": "blocker/w.safetensors"}, "can't be written"),
        ({"preprocess": Preprocess(image_size=31)}, "32 or more"),
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
