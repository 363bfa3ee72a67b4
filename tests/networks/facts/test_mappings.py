import pytest
from support.settled_facts import HALF, NAMES, settle

from edge_convnext.core.artifacts import Preprocess


def test_names_that_do_not_fit_the_classifier_are_told_and_not_used(tmp_path):
    settled = settle(tmp_path, {"classes": ["a", "b"]}, {"labels.txt": "a\nb\nc\nd\n"})
    assert settled.classes == ()
    assert settled.notes == (
        "classes has 2 entries (a, b), and the classifier 3 outputs; they are not used as class "
        "names",
        "labels.txt beside the weights has 4 entries (a, b, c, d), and the classifier 3 outputs; "
        "they are not used as class names",
    )


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ({"mean": HALF, "std": [0.5, 0.0, 0.5]}, "divides by nothing"),
        ({"image_size": "192x256"}, "says 192 x 256 pixels, and not which is the height"),
        ({"image_size": [192, 9000]}, "says 192 x 9000 pixels, not 32 to 4096"),
        (
            {"image_size": [64, 96], "args": {"img_size": [96, 64]}},
            "image_size is 64 x 96 by checkpoint (image_size), and 96 x 64 by checkpoint",
        ),
        ({"image_size": [64, 96], "args": {"img_size": 64}}, "image_size is 64 x 96 by checkpoint"),
        ({"image_size": 100_000}, "says 100000 pixels, not 32 to 4096"),
        ({"crop_pct": 250.0}, "says 250, and a crop is a part"),
        ({"interpolation": "hamming"}, "a filter that is not used here"),
        ({"mean": HALF}, "a mean alone"),
        ({"mean": [127.5] * 3, "std": [51.0] * 3}, "divided by 255"),
        ({"in_chans": 1}, "says 1 channels, and the weights take 3"),
        ({"image_size": 128, "args": {"img_size": 64}}, "image_size is 128 by checkpoint"),
    ],
)
def test_values_that_can_not_be_are_told(tmp_path, inside, words):
    settled = settle(tmp_path, inside)
    assert any(words in note for note in settled.notes), settled.notes
    assert settled.preprocess.std == pytest.approx(
        (0.2,) * 3 if "divided" in words else Preprocess().std
    )


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ({"classes": set(NAMES)}, "classes is a set, which has no order"),
        ({"classes": frozenset(NAMES)}, "classes is a set, which has no order"),
        ({"args": {"nb_classes": 1000}}, "args says 1000 classes, and the weights have 3"),
    ],
)
def test_what_orders_nothing_or_is_of_other_weights_is_told(tmp_path, inside, words):
    settled = settle(tmp_path, inside)
    assert settled.classes == ()
    assert any(words in note for note in settled.notes)


def test_images_in_opencvs_order_are_named(tmp_path):
    cfg = "data_preprocessor = dict(mean=[1., 2., 3.], std=[51., 51., 51.], to_rgb=False)\n"
    assert settle(tmp_path, {"meta": {"cfg": cfg}}).bgr == "meta.cfg.data_preprocessor"


@pytest.mark.parametrize(
    "inside",
    [
        {"image_size": [64, 96]},
        {"args": {"img_size": (64, 96)}},
        {"input_shape": [64, 96, 3]},
        {"img_width": 96, "img_height": 64},
        {"target_size": "64, 96"},
    ],
)
def test_height_and_width_are_read_of_a_rectangle(tmp_path, inside):
    settled = settle(tmp_path, inside)
    assert (settled.preprocess.height, settled.preprocess.width) == (64, 96)


def test_a_resize_before_the_crop_of_a_rectangle_is_taken_by_its_short_side(tmp_path):
    settled = settle(tmp_path, {"crop_size": [64, 96], "resize_size": 72})
    assert (settled.preprocess.image_size, settled.preprocess.resize) == ((64, 96), "shortest")
    assert settled.preprocess.crop_pct == pytest.approx(64 / 72, abs=1e-3)
    assert any("here both sides are covered" in note for note in settled.notes)
