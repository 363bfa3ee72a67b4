import pytest
import typer

from edge_convnext.cli.habits import (
    CALIBRATION_METHODS,
    PRECISION_METAVAR,
    as_estimator,
    as_names,
    read_precision,
    tell_estimator,
)
from edge_convnext.cli.values import PRECISIONS
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.sections import QuantizeConfig


@pytest.mark.parametrize(
    ("word", "precision"),
    [("8", "int8"), ("w8a8", "int8"), ("W8A8", "int8"), ("16", "fp16"), ("32", "fp32"),
     ("int8", "int8"), ("FP16", "fp16"), ("fp32", "fp32")],
)  # fmt: skip
def test_a_precision_has_the_words_of_other_tools(word, precision):
    assert read_precision(word) == precision
    assert Recipe(precision=read_precision(word)).precision == precision


@pytest.mark.parametrize("word", ["", "4", "int4", "w4a16", "best"])
def test_another_precision_is_refused_with_those_that_there_are(word):
    with pytest.raises(typer.BadParameter, match="'fp32', 'fp16', 'int8'"):
        read_precision(word)
    assert all(one in PRECISION_METAVAR for one in PRECISIONS)


@pytest.mark.parametrize(
    ("word", "estimator"), [("percentile", "mean_quantile"), ("mse", "reconstruction")]
)
def test_a_method_of_other_tools_becomes_the_nearest_and_it_is_told(word, estimator):
    assert as_estimator("--calibration-method", word) == estimator
    told = tell_estimator(word)
    assert word in told
    assert estimator in told


def test_every_method_is_one_that_a_recipe_takes_and_ours_need_no_word():
    for word in CALIBRATION_METHODS:
        found = as_estimator("--calibration-method", word)
        assert QuantizeConfig(activations_range_estimator=found)
        assert (tell_estimator(word) is None) == (found == word)


def test_entropy_is_refused_with_the_reason_and_the_way_on():
    with pytest.raises(RecipeError, match=r"entropy: neither NNCF .* reconstruction"):
        as_estimator("--calibration-method", "entropy")
    assert "entropy" not in CALIBRATION_METHODS


def test_names_are_repeated_or_have_commas():
    assert as_names("", ["a/Conv,b/Conv", "c", "a/Conv", "d e"]) == (
        "a/Conv",
        "b/Conv",
        "c",
        "d",
        "e",
    )
