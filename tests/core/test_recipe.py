import pytest
from pydantic import ValidationError

from edge_convnext.core.recipe import Recipe, recipe_folder, recipe_names
from edge_convnext.core.sections import (
    BenchmarkConfig,
    DataConfig,
    EngineConfig,
    PlanConfig,
    PreprocessConfig,
    QuantizeConfig,
)


def refusal(section, **fields):
    with pytest.raises(ValidationError) as caught:
        section(**fields)
    (error,) = caught.value.errors()
    return error["msg"]


def test_a_section_is_frozen_and_closed():
    assert "Extra inputs" in refusal(DataConfig, sorce="x")
    with pytest.raises(ValidationError):
        DataConfig().source = "x"
    assert "finite" in refusal(BenchmarkConfig, wait_quiet_min=float("nan"))


def test_per_cent_for_a_share_are_told_the_share():
    assert "did you mean 0.2?" in refusal(DataConfig, val_fraction=20)
    assert DataConfig(val_fraction=0.5).val_fraction == 0.5
    assert "less than 1" in refusal(DataConfig, val_fraction=1.0)


def test_normalisation_of_pixels_to_255_is_told_what_it_divides_to():
    said = refusal(PreprocessConfig, mean=(123.675, 116.28, 103.53))
    assert said.endswith("divide by 255 (0.485,0.456,0.406)")
    assert PreprocessConfig(mean=(-2.0, 0.0, 2.0)).mean == (-2.0, 0.0, 2.0)
    assert "greater than 0" in refusal(PreprocessConfig, std=(0.0, 1.0, 1.0))


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


def test_a_batch_that_fills_the_memory_is_refused_wherever_it_is_stated():
    wide = {"load": {"in_channels": 64}, "preprocess": {"image_size": 1024}}
    for section in ("train", "export", "recover", "evaluate"):
        assert "takes" in refusal(Recipe, **wide, **{section: {"batch": 64}})
        assert Recipe(**wide, **{section: {"batch": 16}}).load.in_channels == 64
    assert "takes" in refusal(Recipe, **wide, benchmark={"batches": [1, 64]})


def test_a_field_that_nobody_states_has_no_origin():
    recipe = Recipe(data={"source": "images"})
    assert recipe.origin("data", "labels") is None
    assert recipe.origin("data", "source").kind == "recipe"
    recipe._stated = type(recipe._stated)("a/potato.yaml", {"data.source": "--data"})
    assert str(recipe.origin("data", "source")) == "flag (--data)"
    assert str(recipe.origin("data", "val_fraction")) == "recipe (potato.yaml)"
    assert recipe == Recipe(data={"source": "images"})  # who says so decides no result


def test_the_shipped_recipes_are_those_of_the_folder():
    names = recipe_names()
    assert "potato" in names
    assert list(names) == sorted(names)
    assert all((recipe_folder() / f"{name}.yaml").is_file() for name in names)
