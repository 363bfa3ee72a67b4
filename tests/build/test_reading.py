"""Weights and images as a build and a training read them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge_convnext.build import reading
from edge_convnext.build.reading import (
    load_checkpoint,
    name_by_file,
    name_classes,
    require_classes,
    settle_images,
    split_data,
    training_preprocess,
)
from edge_convnext.core.artifacts import ModelInfo, Preprocess, Weights
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import DataError
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.core.progress import untracked
from edge_convnext.core.step import Step
from edge_convnext.data.batches import look_at_images
from edge_convnext.data.images import ImageSet
from edge_convnext.data.splits import Splits, load_splits
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import SIZES, Architecture
from edge_convnext.networks.recipe_file import make_recipe

TINY = ((1, 1, 1, 1), (8, 16, 24, 32))
ARCHITECTURE = Architecture("convnextv2_atto", 2, *TINY, num_classes=2)
INFO = ModelInfo("convnextv2_atto", 2, 3, ("cat", "dog"), Preprocess(32), "w.pth", "0" * 64, None)


def recipe_of(**fields):
    return make_recipe({}, "here", {name.replace("__", "."): one for name, one in fields.items()})


def splits_of(*classes, labels_file=None):
    facts = ()
    if labels_file:
        facts = (Fact("classes", classes, Origin("labels file", labels_file)),)
    return Splits(None, ImageSet((), classes), "drawn", facts=facts)


def test_a_training_is_of_the_size_that_it_states():
    assert training_preprocess(recipe_of()) == Preprocess()
    assert training_preprocess(recipe_of(preprocess__image_size=96)).image_size == 96
    both = recipe_of(preprocess__image_size=96, train__image_size=64, preprocess__resize="shortest")
    assert training_preprocess(both) == replace(Preprocess(), image_size=64, resize="shortest")


def test_a_build_gets_facts_and_notes_from_the_cache_too(tmp_path, monkeypatch):
    monkeypatch.setitem(SIZES, "atto", TINY)
    state = random_state(ARCHITECTURE, 0)
    torch.save({"model": state, "model_ema": state, "classes": ["b", "a"]}, tmp_path / "w.pth")
    recipe = make_recipe({}, "here", {"model": "atto", "load.weights": str(tmp_path / "w.pth")})
    cache = Cache(tmp_path / "cache")
    first, again = (load_checkpoint(recipe, str(tmp_path / "w.pth"), cache, {}) for _ in range(2))
    assert (first.status, again.status) == ("done", "cached")
    assert first.value == again.value
    facts = {fact.name: (fact.value, str(fact.origin)) for fact in again.value.facts}
    assert facts == {
        "classes": (("b", "a"), "checkpoint (classes)"),
        "in_channels": (3, "checkpoint (the first convolution)"),
        "weights_key": ("model_ema", "checkpoint (averaged weights)"),
    }
    assert again.value.info.classes == ("b", "a")
    assert again.value.notes[0].startswith("the averaged weights of 'model_ema' were taken")
    (tmp_path / "config.json").write_text(json.dumps({"image_size": 96}))
    changed = load_checkpoint(recipe, str(tmp_path / "w.pth"), cache, {})
    assert changed.status == "done"
    assert changed.value.info.preprocess.image_size == 96


def test_what_the_recipe_states_of_the_images_stands_before_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setitem(SIZES, "atto", TINY)
    torch.save({"model": random_state(ARCHITECTURE, 0)}, tmp_path / "w.pth")
    (tmp_path / "config.json").write_text(json.dumps({"image_size": 96, "crop_pct": 0.5}))
    stated = recipe_of(model="atto", preprocess__image_size=64)
    info = load_checkpoint(
        stated, str(tmp_path / "w.pth"), Cache(tmp_path / "cache"), {}
    ).value.info
    assert (info.preprocess.image_size, info.preprocess.crop_pct) == (64, 0.5)


def test_data_of_other_classes_than_the_weights_is_refused_with_both_numbers():
    with pytest.raises(DataError) as told:
        require_classes(INFO, splits_of("ant", "bee", "cat"))
    assert str(told.value) == (
        "the data has 3 classes (ant, bee, cat), the weights 2; pass the data they were trained "
        "on, or --labels FILE with every class in logit order"
    )
    with pytest.raises(DataError) as told:
        require_classes(INFO, splits_of("ant", "bee", "cat", labels_file="names.txt"))
    assert str(told.value) == (
        "names.txt has 3 class names (ant, bee, cat), and the weights have 2 classes; name "
        "each of these once, in logit order"
    )


def test_data_of_as_many_classes_is_taken_whatever_their_names():
    require_classes(INFO, splits_of("ant", "bee"))
    require_classes(INFO, splits_of("ant", "bee", labels_file="names.txt"))


def test_no_data_are_no_splits(tmp_path):
    assert split_data(recipe_of(), None, None, Cache(tmp_path), untracked) is None


def test_data_are_read_in_the_weights_order_and_held_against_them(make_images, tmp_path):
    root, cache = make_images({"train/cat": 1, "train/dog": 1, "val/dog": 2}), Cache(tmp_path / "c")
    turned = replace(INFO, classes=("dog", "cat"))
    splits = split_data(recipe_of(), str(root), turned, cache, untracked)
    assert splits.val.classes == ("dog", "cat")
    assert [sample.label for sample in splits.val.samples] == [0, 0]
    nameless = replace(INFO, classes=(), num_classes=3)
    with pytest.raises(DataError, match="the data has 2 classes"):
        split_data(recipe_of(), str(root), nameless, cache, untracked)
    assert split_data(recipe_of(), str(root), None, cache, untracked).val.classes == (
        "cat", "dog",
    )  # fmt: skip


def test_the_digits_are_an_entry_of_the_cache(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(reading, "ensure_digits", lambda folder: made.append(folder.mkdir()))
    first, second = (reading._find_digits(Cache(tmp_path)) for _ in range(2))
    assert first == second
    assert (first.name, first.parent.parent.name, len(made)) == ("digits", "digits", 1)


@pytest.fixture
def seen(make_images):
    """Splits with an image that can't be decoded, and one that is on both sides."""
    root = make_images({"train/cat": 150, "train/dog": 2, "val/cat": 150, "val/dog": 2})
    (root / "train/cat/0.png").write_bytes((root / "val/cat/0.png").read_bytes())
    (root / "val/dog/0.png").write_bytes(b"no image")
    splits = load_splits(root, recipe_of().data, 0)
    return splits, look_at_images((*splits.train.samples, *splits.val.samples), track=untracked)


def test_what_can_not_be_decoded_ends_it_or_is_left_out(seen):
    with pytest.raises(DataError, match=r"0\.png: .*--skip-bad-images"):
        settle_images(*seen, recipe_of())
    kept = settle_images(*seen, recipe_of(data__skip_bad_images=True))
    assert len(kept.skipped) == 1
    assert [sample.label for sample in kept.val.samples].count(1) == 1


def test_what_is_on_both_sides_is_counted_and_told(seen):
    splits, looks = seen
    kept = settle_images(splits, looks, recipe_of(data__skip_bad_images=True))
    assert (len(kept.train), len(kept.val)) == (151, 151)  # the bad one is gone too
    assert not kept.train.hashes & kept.val.hashes
    (note,) = set(kept.notes) - set(splits.notes)
    assert "0.png" in note


def test_many_on_both_sides_end_it_unless_they_are_allowed(make_images):
    root = make_images({"train/cat": 2, "train/dog": 2, "val/cat": 2, "val/dog": 2})
    (root / "train/cat/0.png").write_bytes((root / "val/cat/0.png").read_bytes())
    splits = load_splits(root, recipe_of().data, 0)
    looks = look_at_images((*splits.train.samples, *splits.val.samples), track=untracked)
    with pytest.raises(DataError, match="--allow-duplicates"):
        settle_images(splits, looks, recipe_of())
    kept = settle_images(splits, looks, recipe_of(data__allow_duplicates=True))
    assert not kept.train.hashes & kept.val.hashes


def test_the_depth_of_evaluation_images_is_told_last(seen, monkeypatch):
    looked = []
    monkeypatch.setattr(reading, "tell_depth", lambda samples: looked.append(samples) or ("dark",))
    kept = settle_images(*seen, recipe_of(data__skip_bad_images=True))
    assert kept.notes[-1] == "dark"
    assert looked == [kept.val.samples]


def test_logits_get_the_datas_names():
    info = replace(INFO, classes=())
    weights = Step(Weights(Path("w"), ARCHITECTURE, info), "done", 1.0, "d" * 64)
    named = name_classes(weights, splits_of("ant", "bee"))
    assert named.value.info == replace(INFO, classes=("ant", "bee"))
    assert (named.digest, named.status) == (weights.digest, "done")


def test_a_labels_file_names_the_logits_of_a_model_without_data(tmp_path):
    labels = tmp_path / "names.txt"
    labels.write_text("wolf\nfox\n")
    weights = Weights(tmp_path / "w.safetensors", ARCHITECTURE, INFO)
    assert name_by_file(weights, None) is weights
    named = name_by_file(weights, str(labels))
    assert named.info.classes == ("wolf", "fox")
    assert named.facts[-1] == Fact("classes", ("wolf", "fox"), Origin("labels file", "names.txt"))
    labels.write_text("wolf\n")
    with pytest.raises(DataError, match=r"1 class names for a model of 2 classes \(cat, dog\)"):
        name_by_file(weights, str(labels))


def test_images_in_place_of_data_are_not_read_with_the_users_labels(tmp_path):
    (tmp_path / "names.txt").write_text("wolf\nfox\n")
    recipe = recipe_of(data__labels=str(tmp_path / "names.txt"))
    cache = Cache(tmp_path / "cache")
    assert len(split_data(recipe, "noise", None, cache, untracked).val) > 0
    assert len(split_data(recipe, "digits", None, cache, untracked).val.classes) == 10
