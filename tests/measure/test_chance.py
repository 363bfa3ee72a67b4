"""A model that is no better than guessing, or whose classes stand in another order, is found."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.held_models import THREE, answers, prepare, sides
from support.known_models import draw_images, write_colour_model

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.measure.alternatives import BGR, find_better_way
from edge_convnext.measure.chance import beats, judge


def test_a_good_model_is_not_bad():
    found = judge(answers(THREE, np.arange(120) % 10 > 0, lambda own: (own + 1) % 3), THREE, 3)
    assert (found.hits, found.top1_pct, found.bad) == (108, 90.0, False)
    assert found.guess == pytest.approx(1 / 3)


def test_guesses_are_at_chance_and_one_answer_is_named():
    guesses = np.random.default_rng(1).integers(0, 3, 120)
    found = judge(guesses, THREE, 3)
    assert found.at_chance
    assert (found.one_answer, found.order) == (None, None)
    always = judge(np.full(120, 2), THREE, 3)
    assert always.one_answer == 2
    assert always.at_chance


def test_one_answer_for_all_tells_no_order():
    labels = np.repeat([0, 1, 2], [80, 20, 20])  # its own class is not the most frequent one
    always = judge(np.full(120, 2), labels, 3)
    assert (always.one_answer, always.order, always.reordered_hits) == (2, None, 20)


def test_a_model_just_above_chance_is_refused_until_more_images_show_it():
    right = np.arange(60) < 38  # 63 % of two classes: the interval starts at 50.7 %
    labels = np.tile([0, 1], 30)
    assert not judge(answers(labels, right, lambda own: 1 - own), labels, 2).at_chance
    fewer = np.arange(60) < 36  # 60 %: from 47.4 % on
    assert judge(answers(labels, fewer, lambda own: 1 - own), labels, 2).at_chance


def test_an_honest_model_of_a_rare_class_is_told_and_not_refused():
    labels = np.array([0] * 180 + [1] * 20)
    found = labels.copy()
    found[:10] = 1  # 10 of 180 false alarms
    found[195:] = 0  # 5 of 20 missed
    held = judge(found, labels, 2)
    assert held.top1_pct == 92.5
    assert (held.bad, held.near_constant) == (False, True)
    assert held.guess == pytest.approx((180 * 175 + 20 * 25) / 200**2)


def test_a_model_that_one_constant_answer_surely_beats_is_bad():
    labels = np.array([0] * 180 + [1] * 20)
    found = labels.copy()
    found[:60] = 1
    held = judge(found, labels, 2)
    assert held.top1_pct == 70.0
    assert held.at_chance
    # Where a class has no image, one answer is no rival: it would have to know which have.
    assert not judge(found, labels, 3).at_chance


def test_classes_in_another_order_are_found_whatever_the_order():
    for order in itertools.permutations(range(3)):
        found = judge(np.array(order)[THREE], THREE, 3)
        if order == (0, 1, 2):
            assert found.order is None
            assert not found.bad
        else:
            assert found.order == order
            assert found.bad
            assert found.reordered_hits == 120


def test_two_exchanged_classes_among_many_good_ones_are_found():
    labels = np.repeat(np.arange(10), 30)
    order = np.array([0, 1, 2, 4, 3, 5, 6, 7, 8, 9])
    found = judge(order[labels], labels, 10)
    assert found.top1_pct == 80.0
    assert not found.at_chance
    assert found.order == tuple(order)


def test_of_a_thousand_classes_with_few_images_no_order_is_made_up():
    random = np.random.default_rng(0)
    labels = np.sort(random.integers(0, 1000, 200))
    right = random.random(200) < 0.3
    found = judge(answers(labels, right, lambda own: random.integers(0, 1000, 200)), labels, 1000)
    assert not found.bad
    assert found.order is None


def test_few_images_and_one_class_tell_nothing():
    assert judge(np.zeros(9, int), np.arange(9) % 2, 2) is None
    assert judge(np.zeros(60, int), np.zeros(60, int), 2) is None


def test_a_gain_must_be_sure_and_surer_the_more_was_tried():
    better, worse = np.arange(100) < 62, np.arange(100) < 50
    assert beats(better, worse)
    assert not beats(worse, better)
    assert not beats(better, worse, margin=0.1)
    few, none = np.arange(100) < 7, np.zeros(100, bool)
    assert beats(few, none)
    assert not beats(few, none, tries=1000)


def test_settings_that_are_wrong_together_are_found_one_after_the_other():
    place = np.random.default_rng(0).permutation(100)

    def answer(way, count):
        preprocess, swapped = way
        right = 20 + 30 * (preprocess.image_size == 128) + 40 * (preprocess.mean == (0.5,) * 3)
        return (place < right + 5 * swapped)[:count]

    found = find_better_way(answer, 100, Preprocess(), ("image_size", "mean", "std", "resize"))
    assert (found.before, found.after, found.n_images) == (20, 90, 100)
    assert found.flags(Preprocess()) == "--image-size 128 --mean 0.5 --std 0.5"
    assert find_better_way(answer, 100, Preprocess(), (BGR,)) is None  # 5 of 100 are not sure
    assert find_better_way(answer, 100, Preprocess(), ()) is None


def test_the_order_of_numbered_classes_is_taken_from_the_images(small, tmp_path):
    names = ("stage 1", "stage 2", "stage 10")  # sorted as text: 1, 10, 2
    data = draw_images(tmp_path / "data", sides(names, count=6))
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    read = prepare(weights, data, tmp_path)
    assert read.info.classes == names
    assert read.evaluation.classes == names
    first = {sample.path.parent.name: sample.label for sample in read.evaluation.samples}
    assert first == {"stage 1": 0, "stage 2": 1, "stage 10": 2}
    assert {sample.path.parent.name: sample.label for sample in read.splits.train.samples} == first
    (fact,) = [one for one in read.settings if one.name == "classes"]
    assert fact.origin.kind == "evaluation images"
    assert any("stage 2, stage 10 (100.00 % right)" in one for one in read.notes)


def test_orders_that_part_at_two_classes_are_told_by_all_images_where_a_sample_does_not():
    from edge_convnext.data.images import ImageSet, Sample
    from edge_convnext.data.splits import Splits
    from edge_convnext.measure.class_order import order_by_images

    names = ("B", "a", *(f"c{place:03d}" for place in range(298)))
    samples = [Sample(Path(f"{i}.png"), f"{i:064d}", i % 300) for i in range(1500)]
    without_case = ("a", "B", *names[2:])
    splits = Splits(None, ImageSet(tuple(samples), names), "", other_orders=(without_case,))
    asked = []

    def answer(images, way):
        asked.append(len(images))
        labels = np.array([sample.label for sample in images.samples])
        return np.where(labels < 2, 1 - labels, labels)

    info = ModelInfo("m", 300, 3, (), Preprocess(), "w.pth", "0" * 64, None)
    found = order_by_images(info, splits, answer, "data", 0)
    assert found.val.classes == without_case
    assert asked == [300, 1500]


def test_an_order_that_the_images_do_not_tell_is_asked_for(small, tmp_path):
    from edge_convnext.core.errors import DataError

    data = draw_images(tmp_path / "data", sides(("stage 1", "stage 2", "stage 10"), count=6))
    weights = write_colour_model(tmp_path / "w.pth", (1, 2, 0))  # right in neither order
    with pytest.raises(DataError, match="pass --labels FILE") as error:
        prepare(weights, data, tmp_path)
    assert "stage 10, stage 2" in str(error.value)
    assert "stage 2, stage 10" in str(error.value)


def test_a_model_that_guesses_in_every_order_is_no_matter_of_order(small, tmp_path):
    from edge_convnext.core.errors import BadModelError

    names = ("stage 1", "stage 2", "stage 10")
    weights = answer_always(write_colour_model(tmp_path / "w.pth", (0, 1, 2)), 0)
    few = draw_images(tmp_path / "few", sides(names, count=6))
    told = [one for one in prepare(weights, few, tmp_path).notes if "The first is used" in one]
    assert len(told) == 1
    with pytest.raises(BadModelError):
        prepare(weights, draw_images(tmp_path / "data", sides(names)), tmp_path)


def test_an_order_is_asked_for_where_there_are_too_few_images(small, tmp_path):
    from edge_convnext.core.errors import DataError

    data = draw_images(tmp_path / "data", sides(("stage 1", "stage 2", "stage 10"), count=1))
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    with pytest.raises(DataError, match="3 evaluation images don't tell"):
        prepare(weights, data, tmp_path)


def test_a_wrong_order_ends_the_build_with_the_one_that_fits(small, tmp_path):
    from edge_convnext.core.errors import BadModelError

    data = draw_images(tmp_path / "data", sides(("ant", "bee", "cat")))
    weights = write_colour_model(tmp_path / "w.pth", (2, 0, 1))
    with pytest.raises(BadModelError, match=r"another order \(cat, ant, bee\)") as error:
        prepare(weights, data, tmp_path)
    assert error.value.order == ("cat", "ant", "bee")
    assert "is right in 0.00 % of 60" in str(error.value)
    assert "--allow-bad-model" in str(error.value)
    read = prepare(weights, data, tmp_path, **{"evaluate.allow_bad_model": True})
    assert any("cat, ant, bee" in one and "--allow-bad-model" in one for one in read.notes)
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\nant\nbee\n")
    fine = prepare(weights, data, tmp_path, **{"data.labels": str(labels)})
    assert fine.info.classes == ("cat", "ant", "bee")
    assert not [one for one in fine.notes if "is right in" in one]


def answer_always(path, number):
    import torch

    content = torch.load(path, weights_only=True)
    content["model"]["head.bias"] = torch.eye(3)[number] * 1e4
    torch.save(content, path)
    return path


def test_one_answer_for_all_ends_the_build(small, tmp_path):
    from edge_convnext.core.errors import BadModelError

    data = draw_images(tmp_path / "data", sides(("ant", "bee", "cat")))
    path = answer_always(write_colour_model(tmp_path / "w.pth", (0, 1, 2)), 1)
    with pytest.raises(
        BadModelError, match="gives the class 'bee' to each of 60 evaluation images"
    ):
        prepare(path, data, tmp_path)


def test_few_images_end_a_build_where_they_are_sure_and_random_weights_are_exempt(small, tmp_path):
    from edge_convnext.core.errors import BadModelError

    data = draw_images(tmp_path / "data", sides(("ant", "bee", "cat"), count=6))
    weights = write_colour_model(tmp_path / "w.pth", (2, 0, 1))
    with pytest.raises(BadModelError, match="another order"):
        prepare(weights, data, tmp_path)
    one = answer_always(write_colour_model(tmp_path / "one.pth", (0, 1, 2)), 0)
    notes = prepare(one, data, tmp_path).notes  # six of them may be all that is wrong
    assert any("gives the class 'ant' to each of 18" in one for one in notes)
    assert any("end no build" in one for one in notes)
    told = prepare("random", data, tmp_path).notes
    assert "The weights are random: nothing was held against guessing." in told


class Colours:
    """A finished model whose logits are the mean of red, green and blue."""

    info = ModelInfo("convnextv2_atto", 3, 3, (), Preprocess(32), "w.pth", "0" * 64, None)

    @property
    def runtime(self):
        return self

    def infer(self, images):
        return images.mean(axis=(2, 3))

    def describe(self):
        return SimpleNamespace(name="colours", version="1")


def test_eval_finds_the_order_of_a_model_that_names_no_classes(monkeypatch, tmp_path):
    from edge_convnext.core.sections import DataConfig
    from edge_convnext.measure import built_models as rerun

    names = ("stage 1", "stage 2", "stage 10")  # sorted as text: 1, 10, 2
    data = draw_images(tmp_path / "data", sides(names, count=6))
    monkeypatch.setattr(rerun, "load_model", lambda *_: Colours())
    read = {}
    found = rerun.evaluate_model(
        tmp_path / "model.onnx",
        DataConfig(source=str(data)),
        on_read=lambda settings, notes: read.update(settings=settings, notes=notes),
    )
    assert found.accuracy.top1_pct == 100.0
    assert tuple(found.accuracy.per_class) == names
    (fact,) = [one for one in read["settings"] if one.name == "classes"]
    assert (fact.value, fact.origin.kind) == (names, "evaluation images")
    for notes in (read["notes"], found.to_json()["notes"]):
        assert sum("Nothing states the order of the classes" in one for one in notes) == 1
    assert found.notes == ()  # nothing is doubtful


def test_weights_and_folders_agree_on_names_that_repeat_or_are_decomposed(small, tmp_path):
    data = draw_images(tmp_path / "data", sides(("crane#0", "M\u00fcll", "crane#2"), count=4))
    names = {"class_names": ["crane", "Mu\u0308ll", "crane"]}
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2), names)
    read = prepare(weights, data, tmp_path)
    assert read.info.classes == ("crane#0", "M\u00fcll", "crane#2")
    (fact,) = [one for one in read.settings if one.name == "classes"]
    assert str(fact.origin) == "checkpoint (class_names)"
    assert not any("classes:" in note for note in read.notes)
