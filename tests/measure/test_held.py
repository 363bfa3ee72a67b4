import numpy as np
import pytest
from support.held_models import THREE, prepare, sides
from support.known_models import draw_images, write_colour_model

from edge_convnext.measure.chance import judge


def test_few_images_that_show_nothing_accuse_nobody(small, tmp_path):
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.measure.held import hold_against_chance

    data = draw_images(tmp_path / "data", sides(("ant", "bee", "cat"), count=4))
    read = prepare(write_colour_model(tmp_path / "w.pth", (0, 1, 2)), data, tmp_path)
    half = np.array([0, 0, 1, 2, 1, 1, 0, 2, 2, 2, 0, 1])  # of each class two of four

    held = hold_against_chance(
        read.weights.value,
        read.evaluation,
        Recipe(),
        read.settings,
        lambda images, way: half[: len(images)],
    )
    assert held.notes == (
        "The float model is right in 50.00 % of 12 evaluation images (95 %: 25.4 to 74.6), where "
        "guessing gets 33.33 %: more images would show more. So few images end no build.",
    )


def test_fewer_than_fifty_images_tell_what_their_interval_tells():
    labels = THREE[:45]
    never = judge((labels + 1) % 3, labels, 3)
    assert never.surely_bad
    guesses = judge(np.random.default_rng(3).permutation(labels), labels, 3)
    assert guesses.bad
    assert not guesses.surely_bad
    assert not judge(labels, labels, 3).surely_bad


def test_a_larger_set_is_judged_by_a_sample_and_then_by_all(small, tmp_path):
    from edge_convnext.measure import answers

    data = draw_images(tmp_path / "data", sides(("ant", "bee", "cat")))
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "_WHOLE", 30)
        patch.setattr(answers, "_SAMPLE", 24)
        prepare(weights, data, tmp_path)
    assert len(list((tmp_path / "cache" / "evaluate").iterdir())) == 1  # the sample alone
    prepare(weights, data, tmp_path)
    assert len(list((tmp_path / "cache" / "evaluate").iterdir())) == 2


def test_one_answer_for_all_of_a_sample_is_told_at_once_and_no_more_is_asked(monkeypatch):
    from pathlib import Path
    from types import SimpleNamespace

    from edge_convnext.core.artifacts import ModelInfo, Preprocess
    from edge_convnext.core.errors import BadModelError
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.data.images import ImageSet, Sample
    from edge_convnext.measure import held

    samples = [Sample(Path(f"{n}.png"), f"{n:064d}", n % 3) for n in range(900)]
    images = ImageSet(tuple(samples), ("ant", "bee", "cat"))
    info = ModelInfo("m", 3, 3, images.classes, Preprocess(), "w.pth", "0" * 64, None)
    weights = SimpleNamespace(
        info=info, facts=(),
        architecture=SimpleNamespace(count_macs=lambda _: 1e6, family="convnext"),
    )  # fmt: skip
    events = []

    def track(items, what, total=None):
        events.append(what)
        return items

    def answer(asked, way):
        if way is None:
            events.append(len(asked))
        return np.ones(len(asked), np.int64)

    with pytest.raises(BadModelError, match="gives the class 'bee' to each of 300 evaluation"):
        held.hold_against_chance(weights, images, Recipe(), (), answer, track=track)
    said = (
        "the float model gives the class 'bee' to each of 300 evaluation images: trying other "
        "preprocessing"
    )
    assert events[:3] == [300, said, 100]
    assert 900 not in events

    def guesses(asked, way):
        if way is None:
            events.append(len(asked))
        return np.array([int(one.sha256) // 3 % 3 for one in asked.samples])

    events = []
    with pytest.raises(BadModelError):
        held.hold_against_chance(weights, images, Recipe(), (), guesses, track=track)
    assert events[0] == 300
    assert events[1].endswith(": looking at all 900")
    assert events[2] == 900
