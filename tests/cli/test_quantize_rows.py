import pytest

from edge_convnext.cli.options import FLAGS, flags, resolve
from edge_convnext.cli.quantize_rows import QUANTIZE_ROWS
from edge_convnext.core.errors import RecipeError


def gathered(**values):
    group = flags(*(row.field for row in QUANTIZE_ROWS))
    return group.gather({one.name: values.get(one.name) for one in group.parameters()})


def test_every_row_is_in_the_table_and_of_its_section():
    for row in QUANTIZE_ROWS:
        assert FLAGS[row.field] is row
        assert row.field.startswith("quantize.")


def test_the_flags_set_the_fields_of_the_recipe():
    stated = gathered(
        nodes_to_exclude=["a/Conv,b/Gemm"],
        op_types_to_exclude=["MatMul", "Conv"],
        calibration_method="percentile",
    )
    recipe = resolve(None, stated).quantize
    assert recipe.ignored_names == ("a/Conv", "b/Gemm")
    assert recipe.ignored_types == ("MatMul", "Conv")
    assert recipe.activations_range_estimator == "mean_quantile"
    assert len(stated.told) == 1
    assert gathered(calibration_method="minmax").told == ()


def test_an_unknown_method_lists_those_that_there_are():
    with pytest.raises(RecipeError, match=r"^--calibration-method 'best': .*mean_quantile"):
        resolve(None, gathered(calibration_method="best"))
