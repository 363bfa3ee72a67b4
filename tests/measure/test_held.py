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
