"""Ways to prepare images that fit far better, whoever states the one in use."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.known_models import draw_images, write_colour_model

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import DataError
from edge_convnext.core.origins import TRAINED_BY, Fact, Origin
from edge_convnext.core.recipe import Recipe
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.splits import Splits
from edge_convnext.measure.alternatives import BGR
from edge_convnext.measure.class_order import order_by_images
from edge_convnext.measure.held import hold_against_chance
from edge_convnext.measure.suggest import QUICK, THOROUGH, plan_trials, suggest_way, suggester

LABELS = np.tile([0, 1, 2], 25)
HALF = (0.5, 0.5, 0.5)
IMAGENET = Preprocess().mean


def images(labels=LABELS, names=("a", "b", "c")):
    samples = [Sample(Path(f"{i}.png"), f"{i:064d}", int(one)) for i, one in enumerate(labels)]
    return ImageSet(tuple(samples), names)


def weights(**preprocess):
    info = ModelInfo("m", 3, 3, ("a", "b", "c"), Preprocess(**preprocess), "w.pth", "0" * 64, None)
    return SimpleNamespace(
        info=info,
        facts=(),
        architecture=SimpleNamespace(count_macs=lambda _: 1e6, family="convnext"),
    )


def right_where(fits, share=0.9, else_share=0.5):
    """Answers that are right in `share` of the images where a way fits, else in fewer."""

    def answer(asked, way):
        labels = np.array([sample.label for sample in asked.samples])
        part = share if fits(way) else else_share
        right = np.arange(len(labels)) < part * len(labels)
        return np.where(right, labels, (labels + 1) % 3)

    return answer


def test_a_mean_that_a_flag_states_wrongly_is_named_with_the_flag():
    given = weights(mean=HALF, std=HALF)
    facts = [Fact(name, HALF, Origin("flag", f"--{name}")) for name in ("mean", "std")]
    answer = right_where(lambda way: way is not None and way[0].mean == IMAGENET)
    held = hold_against_chance(given, images(), Recipe(), facts, answer, QUICK)
    (note,) = held.notes
    assert "The mean, std, stated by" in note
    assert "--mean" in note.split("can't be")[0]
    assert "38 are answered right" in note
    assert "with --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225: pass that" in note
    assert held.found.hits == 38


def test_settings_that_nothing_states_are_called_so():
    answer = right_where(lambda way: way is not None and way[0].mean == HALF)
    facts = [Fact(name, IMAGENET, Origin("default", "")) for name in ("mean", "std")]
    held = hold_against_chance(weights(), images(), Recipe(), facts, answer)
    assert held.notes[0].startswith("The mean, std, which nothing states, can't be")


def test_weights_of_blue_green_red_are_named():
    held = hold_against_chance(
        weights(), images(), Recipe(), (), right_where(lambda way: way is not None and way[1])
    )
    assert "in the order blue, green, red" in held.notes[0]


def test_a_good_model_is_not_tried_and_one_that_nothing_fits_is_left_alone():
    asked = []

    def good(shown, way):
        asked.append(way)
        return right_where(lambda _: True, 0.95)(shown, way)

    assert hold_against_chance(weights(), images(), Recipe(), (), good).notes == ()
    assert asked == [None]
    same = right_where(lambda _: True, 0.6)
    assert hold_against_chance(weights(), images(), Recipe(), (), same).notes == ()


def test_the_order_is_found_with_the_way_where_neither_is_right():
    places = [np.array([0, 1, 2]), np.array([0, 2, 1])]

    def answer(shown, way):
        labels = np.array([sample.label for sample in shown.samples])
        fits = way is not None and way[0].mean == HALF
        return places[1][labels] if fits else np.zeros(len(labels), int)

    found = suggest_way(weights(), images(), answer, 0, QUICK, places)
    assert (found.order, found.found.before, found.found.after) == (1, 25, 75)
    assert found.found.way[0].mean == HALF


def test_an_order_that_wrong_preprocessing_hides_is_no_matter_of_labels():
    splits = Splits(None, images(), "", other_orders=(("a", "c", "b"),))

    def unsure(shown, way):  # right as often in one order as in the other
        labels = np.array([sample.label for sample in shown.samples])
        if way is not None and way[0].mean == HALF:
            return labels
        return np.where(np.arange(len(labels)) % 2 == 0, labels, np.array([0, 2, 1])[labels])

    model = weights()
    with pytest.raises(DataError) as error:
        order_by_images(model.info, splits, unsure, "data", 0, suggester(model, unsure, 0, QUICK))
    assert "in the order a, b, c, 100.00 % of 75 are right with --mean 0.5 --std 0.5" in str(
        error.value
    )
    assert "--labels" not in str(error.value)


def test_what_takes_too_long_or_shows_nothing_is_not_tried():
    model = weights()
    answer = right_where(lambda way: way is not None and way[0].mean == HALF)
    assert suggest_way(model, images(), answer, 0, QUICK) is not None
    assert suggest_way(model, images(LABELS[:11]), answer, 0, QUICK) is None
    model.architecture.count_macs = lambda _: 1e10
    assert suggest_way(model, images(), answer, 0, QUICK) is None


def test_one_channel_has_no_order_of_colours():
    model = weights()
    model.info = ModelInfo("m", 3, 1, (), Preprocess(), "w.pth", "0" * 64, None)
    assert suggest_way(model, images(), right_where(lambda way: bool(way and way[1])), 0) is None
    assert BGR in THOROUGH.names


def test_another_size_is_not_tried_on_a_graph_which_has_one():
    answer = right_where(lambda way: way is not None and way[0].image_size == 64)
    model = weights(image_size=224)
    assert suggest_way(model, images(), answer, 0).found.way[0].image_size == 64
    model.architecture.family, model.path = "onnx", Path("weights.onnx")
    assert suggest_way(model, images(), answer, 0) is None


def test_a_network_that_refuses_another_size_is_tried_no_further_with_it():
    def one_size(asked, way):
        if way is not None and way[0].image_size != 224:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return right_where(lambda way: way is not None and way[0].mean == HALF)(asked, way)

    assert suggest_way(weights(image_size=224), images(), one_size, 0).found.way[0].mean == HALF

    def broken(asked, way):
        raise RuntimeError("its memory is gone")

    with pytest.raises(RuntimeError, match="its memory is gone"):
        suggest_way(weights(image_size=224), images(), broken, 0)


def test_the_same_question_is_answered_once(monkeypatch, tmp_path):
    pytest.importorskip("torch", reason="the build extra is not installed")
    from edge_convnext.core.sections import LoadConfig
    from edge_convnext.measure import answers
    from edge_convnext.networks.convnext import sizes
    from edge_convnext.stages.load import load_weights

    monkeypatch.setitem(sizes.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
    path = write_colour_model(tmp_path / "w.pth", (0, 1))
    config = LoadConfig(weights=str(path))
    model = load_weights(config, "convnextv2_atto", 0, tmp_path / "w.safetensors")
    files = sorted(draw_images(tmp_path / "x", {"a": (3, 1)}).rglob("*.png"))
    shown = ImageSet(tuple(Sample(one, one.name, 0) for one in files), ("a", "b"))
    reads = []
    read = answers.iter_batches
    monkeypatch.setattr(answers, "iter_batches", lambda *one: reads.append(1) or read(*one))
    answer = answers.answer_with_torch(model, 2, 1)
    small = Preprocess(image_size=32)
    first = answer(shown, (small, False))
    assert (answer(shown, (small, False)) == first).all()
    assert len(reads) == 1
    answer(shown, (small, True))
    assert len(reads) == 2


def test_what_train_states_is_what_the_model_was_trained_with():
    model = weights()
    model.facts = tuple(
        Fact(name, getattr(model.info.preprocess, name), Origin("checkpoint", TRAINED_BY))
        for name in ("image_size", "resize", "mean", "std")
    )
    bgr = right_where(lambda way: way is not None and way[1])
    trials = plan_trials(model, images())
    assert (trials.names, trials.trained_here) == ((), True)
    assert suggest_way(model, images(), bgr, 0) is None
    assert not any("colours" in one for one in hold_against_chance(
        model, images(), Recipe(), (), bgr).notes)  # fmt: skip
    # A flag that contradicts it is doubted; what else `train` states is not.
    model.info = replace(model.info, preprocess=Preprocess(mean=HALF, std=HALF))
    assert plan_trials(model, images()).names == ("mean", "std")
    given = right_where(lambda way: way is not None and way[0].mean == IMAGENET)
    assert suggest_way(model, images(), given, 0).found.way[0].mean == IMAGENET


def test_a_check_and_a_build_try_the_same_images_first():
    model, many = weights(), images(np.tile([0, 1, 2], 200))
    asked = {}

    def listen(effort):
        seen = asked.setdefault(effort, [])

        def answer(shown, way):
            seen.append([one.sha256 for one in shown.samples])
            return right_where(lambda _: False)(shown, way)

        suggest_way(model, many, answer, 0, effort)
        return seen[0]

    model.architecture.count_macs = lambda _: 2e8  # a check tries on 34 of the hundred
    quick, whole = listen(QUICK), listen(THOROUGH)
    assert (len(quick), len(whole)) == (34, 100)
    assert quick == whole[:34]
    assert plan_trials(model, many, QUICK).left_out == ("resize", "image_size")
    assert plan_trials(model, many, THOROUGH).left_out == ()


def test_a_part_of_the_images_is_judged_and_the_whole_is_tried_on():
    many = images(np.tile([0, 1, 2], 200))
    part = ImageSet(many.samples[:60], many.classes)
    seen = []

    def answer(shown, way):
        seen.append((way, len(shown)))
        return right_where(lambda way: way is not None and way[0].mean == HALF, 1.0, 0.5)(
            shown, way
        )

    held = hold_against_chance(weights(), part, Recipe(), (), answer, QUICK, pool=many)
    assert seen[:2] == [(None, 60), (None, 100)]
    assert "of 100 images" in held.notes[-1]
