import pytest
from pydantic import Field, ValidationError
from support.refusals import refusal

from edge_convnext.core.section import Alpha, BudgetPp, Section, Share
from edge_convnext.core.sections import BenchmarkConfig, DataConfig


class Numbers(Section):
    share: Share = Field(0.5, ge=0.0, le=1.0)
    budget: BudgetPp = Field(1.0, ge=0.0, le=100.0)
    alpha: Alpha = 0.5


def test_a_section_is_frozen_and_closed():
    assert "Extra inputs" in refusal(DataConfig, sorce="x")
    with pytest.raises(ValidationError):
        DataConfig().source = "x"
    assert "finite" in refusal(BenchmarkConfig, wait_quiet_min=float("nan"))


def test_per_cent_for_a_share_are_told_the_share():
    assert "did you mean 0.2?" in refusal(DataConfig, val_fraction=20)
    assert DataConfig(val_fraction=0.5).val_fraction == 0.5
    assert "less than 1" in refusal(DataConfig, val_fraction=1.0)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.5, "a share, not per cent: did you mean 0.015?"),
        (100, "a share, not per cent: did you mean 1?"),
        (100.5, "less than or equal to 1"),  # no per cent either
        (-1, "greater than or equal to 0"),
        ("much", "valid number"),
    ],
)
def test_what_is_no_share_is_refused_with_the_share_where_one_was_meant(share, words):
    assert words in refusal(Numbers, share=share)


def test_the_ends_of_a_share_are_shares():
    assert Numbers(share=1.0).share == 1.0
    assert Numbers(share=0).share == 0.0


def test_a_fraction_for_percentage_points_is_told_the_points():
    words = "percentage points, not a fraction: did you mean 1? (0 allows no drop)"
    assert words in refusal(Numbers, budget=0.01)
    assert Numbers(budget=0).budget == 0.0
    assert Numbers(budget=0.05).budget == 0.05
    assert "less than or equal to 100" in refusal(Numbers, budget=101)
    assert "valid number" in refusal(Numbers, budget="little")


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_is_between_0_and_1(alpha):
    assert "equal to" in refusal(Numbers, alpha=alpha)
    assert (Numbers(alpha=0.0).alpha, Numbers(alpha=1.0).alpha) == (0.0, 1.0)


def test_a_number_is_finite_wherever_it_is():
    for name in Numbers.model_fields:
        with pytest.raises(ValidationError):
            Numbers(**{name: float("nan")})
