import pytest
from support.refusals import refusal

from edge_convnext.core.sections import (
    BenchmarkConfig,
    EngineConfig,
    PlanConfig,
    PreprocessConfig,
    QuantizeConfig,
)


def test_normalisation_of_pixels_to_255_is_told_what_it_divides_to():
    said = refusal(PreprocessConfig, mean=(123.675, 116.28, 103.53))
    assert said.endswith("divide by 255 (0.485,0.456,0.406)")
    assert PreprocessConfig(mean=(-2.0, 0.0, 2.0)).mean == (-2.0, 0.0, 2.0)
    assert "greater than 0" in refusal(PreprocessConfig, std=(0.0, 1.0, 1.0))


def test_what_came_later_is_written_only_where_it_is_stated():
    assert "ignored_types" not in QuantizeConfig().model_dump(mode="json")
    stated = QuantizeConfig(ignored_types=("Conv",))
    assert stated.model_dump(mode="json")["ignored_types"] == ["Conv"]
    assert "ignored_types" not in stated.model_dump(exclude={"ignored_types"})
    assert QuantizeConfig.model_validate(stated.model_dump()) == stated
    assert "pattern" in refusal(QuantizeConfig, ignored_types=("a b",))


def test_ranges_are_our_own_unless_an_estimator_is_stated():
    assert QuantizeConfig().own_ranges
    assert QuantizeConfig(activations_range_estimator="reconstruction").own_ranges
    assert not QuantizeConfig(activations_range_estimator="minmax").own_ranges


@pytest.mark.parametrize(
    ("precision", "plan", "words"),
    [
        ("int8", {"form": "mixed"}, "the plan int8 1 needs a placement"),
        ("fp16", {"form": "mixed", "placement": "blocks"}, "the plan fp16 1 has no placement"),
    ],
)
def test_a_plan_is_placed_where_it_is_quantized(precision, plan, words):
    assert words in refusal(EngineConfig, plans={precision: {1: plan}})


def test_batches_are_timed_once_each_and_rounds_end_by_morning():
    assert BenchmarkConfig(batches=(8, 1, 8)).batches == (8, 1)
    assert "rounds of 1000 ms are" in refusal(BenchmarkConfig, rounds=10_000, min_round_ms=1000)
    assert "at least 1" in refusal(BenchmarkConfig, batches=())


def test_a_plans_batch_can_only_be_dynamic():
    plan = {"form": "conv", "placement": "inner"}
    assert PlanConfig(**plan, settings={"batch": "dynamic", "a": "1"}).settings["a"] == "1"
    assert "batch can only be 'dynamic'" in refusal(PlanConfig, **plan, settings={"batch": "4"})


def test_a_plan_changes_few_groups_and_each_in_one_way():
    plan = {"form": "raw", "placement": "closed"}
    assert (PlanConfig(**plan).float_groups, PlanConfig(**plan).int8_groups) == ((), ())
    read = PlanConfig(**plan, float_groups=["depthwise@0", "first"], int8_groups=["gate"])
    assert (read.float_groups, read.int8_groups) == (("depthwise@0", "first"), ("gate",))
    twice = refusal(PlanConfig, **plan, float_groups=["gate", "last"], int8_groups=["last"])
    assert "'last' can't be in float_groups too" in twice
    many = [f"conv@{stage}" for stage in range(13)]
    assert PlanConfig(**plan, float_groups=many[:12]).int8_groups == ()
    assert "at most 12 items" in refusal(PlanConfig, **plan, float_groups=many)
    assert "at most 12 groups in all" in refusal(
        PlanConfig, **plan, float_groups=many[:6], int8_groups=many[6:]
    )
