"""Models that are held against guessing."""

import numpy as np

THREE = np.repeat([0, 1, 2], 40)


def answers(labels, right, wrong):
    """`labels` where `right` is true, else what `wrong` makes of them."""
    return np.where(right, labels, wrong(labels))


def prepare(weights, data, tmp_path, **overrides):
    from edge_convnext.build.inputs import prepare_inputs
    from edge_convnext.core.cache import Cache
    from edge_convnext.core.progress import untracked
    from edge_convnext.networks.recipe_file import make_recipe

    stated = {
        "load.weights": str(weights),
        "data.source": str(data),
        "preprocess.image_size": 32,
        "benchmark.threads": 1,
        **overrides,
    }
    recipe = make_recipe({}, "command line", stated)
    cache = Cache(tmp_path / "cache")
    return prepare_inputs(recipe, cache, {}, untracked, machine="here")


def sides(names, count=20):
    """Train and val of classes whose colours are their places in `names`."""
    return {
        f"{side}/{name}": (2 if side == "train" else count, colour)
        for side in ("train", "val")
        for colour, name in enumerate(names)
    }
