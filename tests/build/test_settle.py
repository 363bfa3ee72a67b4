import pytest

from edge_convnext.build import settle
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.sections import BenchmarkConfig


def settled(**fields):
    return settle._settle(Recipe.model_validate(fields))


def test_a_fixed_batch_is_timed_as_it_is():
    assert settled(export={"batch": 4}).benchmark.batches == (4,)
    assert settled().benchmark.batches == (1, 8)
    assert settled(export={"batch": 4}, benchmark={"batches": [4]}).benchmark.batches == (4,)
    with pytest.raises(RecipeError, match="a graph of batch 4 can't be timed at batch 1, 8: pass"):
        settled(export={"batch": 4}, benchmark={"batches": [1, 8]})


@pytest.mark.parametrize(("form", "refused"), [("conv", True), ("raw", False), ("auto", False)])
def test_a_folded_form_needs_folds(form, refused):
    fields = {"fold": {"enabled": False}, "export": {"form": form}}
    if refused:
        with pytest.raises(RecipeError, match="leave out --no-fold, or pass --form raw"):
            settled(**fields)
    else:
        assert settled(**fields).export.form == form


def test_a_family_that_folds_nothing_has_its_forms_without_folds():
    fields = {"model": "conv2former_n", "fold": {"enabled": False}, "export": {"form": "linear"}}
    assert settled(**fields).export.form == "linear"


def test_the_usual_targets_are_the_cpu_and_rtx_in_what_is_installed(monkeypatch):
    monkeypatch.setattr(settle, "available_runtimes", lambda: ("onnxruntime",))
    assert settle._choose_targets(Recipe()) == (("cpu", "rtx"), ("onnxruntime",))
    alone = Recipe(targets=("rtx",))
    assert settle._choose_targets(alone) == (("rtx",), ())
    quick = BenchmarkConfig(scope="decision")
    assert settle._choose_targets(Recipe(benchmark=quick))[0] == ("cpu",)
    assert settle._choose_targets(alone.model_copy(update={"benchmark": quick}))[0] == ("rtx",)
    stated = Recipe(targets=("cpu",), runtime="onnxruntime")
    assert settle._choose_targets(stated) == (("cpu",), ("onnxruntime",))


@pytest.mark.parametrize("model", ["conv2former_n", "convnextv2_atto"])
@pytest.mark.parametrize("estimator", ["mean_quantile", "median_minmax", "minmax", "auto"])
def test_ranges_of_nncf_are_refused_before_any_work_where_it_has_no_part(model, estimator):
    fields = {"model": model, "quantize": {"activations_range_estimator": estimator}}
    if model == "conv2former_n" and estimator.startswith("me"):
        with pytest.raises(RecipeError, match=f"'{estimator}' is .*reconstruction or minmax"):
            settled(**fields)
    else:
        assert settled(**fields).quantize.activations_range_estimator == estimator
