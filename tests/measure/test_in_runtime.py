"""What counts as computed wrongly: 3 dB below ONNX Runtime, or 1 pp below the bfloat16 float."""

import numpy as np
import pytest

from edge_convnext.measure.in_runtime import EXACT_DB, Fall, compare_in_runtime


def logits(images=32, classes=4, seed=0):
    return np.random.default_rng(seed).standard_normal((images, classes)).astype(np.float32)


def at(decibels, floating, seed=1):
    """The float logits with noise at so many decibels."""
    noise = np.random.default_rng(seed).standard_normal(floating.shape)
    noise *= np.sqrt((floating**2).sum() / (noise**2).sum() / 10 ** (decibels / 10))
    return (floating + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("here", "elsewhere", "right"),
    [
        (23.1, 23.1, True),
        (20.2, 23.1, True),
        (20.0, 23.1, False),
        (4.1, 23.1, False),
        (30.0, 23.1, True),
        # Past 60 dB only float32's own rounding is left: 80 dB is no worse than 120.
        (80.0, 120.0, True),
        (57.1, 120.0, True),
        (56.9, 120.0, False),
    ],
)
def test_three_decibels_below_onnx_runtime_are_wrong(here, elsewhere, right):
    floating = logits()
    found = compare_in_runtime(floating, at(here, floating), at(elsewhere, floating, seed=2))
    assert (found.why_wrong("OpenVINO") is None) == right


def test_equal_logits_are_held_to_what_float32_can_do():
    floating = logits()
    assert compare_in_runtime(floating, floating, floating).why_wrong("OpenVINO") is None
    near = compare_in_runtime(floating, at(EXACT_DB - 4, floating), floating)
    assert near.why_wrong("OpenVINO") == (
        "OpenVINO computes something else: 56.0 dB to the float graph on 32 images, and the same "
        "graph in ONNX Runtime equal logits"
    )


def answers(wrong, images=32):
    """Logits of two classes; the images listed are answered otherwise than all others."""
    found = np.tile(np.float32([1.0, 0.0]), (images, 1))
    found[list(wrong)] = (0.0, 1.0)
    return found


@pytest.mark.parametrize(
    ("here", "elsewhere", "float_bf16", "fall", "right"),
    [
        ((), (), (), (0, 0), True),
        (range(2), (), (), (2, 0), True),  # of 32: chance does that
        (range(12), (), (), (12, 0), False),
        # What the quantization costs is no fault of bfloat16.
        (range(12), range(12), (), (0, 0), True),
        (range(12, 24), range(12), (), (12, 12), True),
        (range(24), range(12), (), (12, 0), False),
        # Nor is what bfloat16 costs the float graph too.
        (range(12), (), range(12), (0, 0), True),
        (range(24), (), range(12), (12, 0), False),
    ],
)
def test_bfloat16_may_not_cost_more_than_it_costs_the_float(
    here, elsewhere, float_bf16, fall, right
):
    found = compare_in_runtime(answers(()), *map(answers, (here, elsewhere, float_bf16)))
    assert found.fall == Fall(100 - 100 * len(float_bf16) / 32, *fall)
    assert (found.why_wrong("OpenVINO") is None) == right


def test_a_fall_of_a_point_is_told_with_the_agreements():
    found = compare_in_runtime(*(answers(one, 400) for one in ((), range(20), (), range(2))))
    assert found.why_wrong("OpenVINO") == (
        "OpenVINO computes something else in bfloat16: it agrees with the float graph on 95.0 % "
        "of 400 images, the float graph in bfloat16 on 99.5 %, and the same graph in ONNX Runtime "
        "on 100.0 %"
    )


def test_logits_of_other_images_can_not_be_compared():
    with pytest.raises(ValueError, match="can't compare"):
        compare_in_runtime(logits(3), logits(2), logits(3))
