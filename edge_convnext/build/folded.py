"""The weights that each form is made from: folded ones, except for the form that users have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.build.float_chain import fold_step
from edge_convnext.core.artifacts import Weights
from edge_convnext.core.step import Skipped, Step
from edge_convnext.networks.family import family_of_model
from edge_convnext.stages import fold

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.runner import Runner
    from edge_convnext.core.artifacts import FormName
    from edge_convnext.core.step import Images

__all__ = ["fold_weights", "weights_of"]


def fold_weights(
    runner: Runner, weights: Step[Weights], samples: Images
) -> Step[Weights] | Skipped:
    """Fold the weights of a build, or say why they stay as they are.

    Args:
        runner: Runner of this build.
        weights: Weights as they were trained.
        samples: Real images for the parity check.
    """
    family = family_of_model(runner.recipe.model)
    if runner.recipe.fold.enabled and family.folds:
        return fold_step(runner, weights, samples)
    reason = "--no-fold" if family.folds else f"{family.label} has nothing to fold"
    return Skipped(fold.STAGE, reason, "skipped")


def weights_of(form: FormName, inputs: Inputs, folded: Step[Weights] | None) -> Step[Weights]:
    """The weights that one form is exported from, with what was read about the model."""
    weights = inputs.weights if form == "raw" or folded is None else folded
    # The folded file keeps its own metadata; names and preprocessing are resolved later.
    own = weights.value
    return weights.of(Weights(own.path, own.architecture, inputs.info, own.folded))
