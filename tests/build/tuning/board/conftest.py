"""What the tests of this folder share: a small network, its images, and a board over SSH."""

import pytest
from support import ssh_boards
from support.builds import write_images

from edge_convnext.core.cache import Cache
from edge_convnext.devices.ssh import session
from edge_convnext.networks.convnext import sizes
from edge_convnext.networks.recipe_file import make_recipe


@pytest.fixture(scope="module", autouse=True)
def small():
    """Turn `atto` into a network that exports in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sizes.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
        patch.setattr(session, "FIRST_WAIT_S", 0.2)
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    pytest.importorskip("nncf", reason="the build extra is not installed")
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def recipe_of(tmp_path_factory):
    """Recipes for a search in seconds, of labelled images and of weights that mean nothing."""
    pytest.importorskip("torch", reason="the build extra is not installed")
    from support.builds import write_checkpoint  # it needs torch, and a conftest may not

    root = tmp_path_factory.mktemp("inputs")
    counts = {f"{side}/{name}": 6 for side in ("train", "val") for name in ("cat", "dog")}
    write_images(root / "images", counts)
    weights = write_checkpoint(root / "weights.pth", 2)

    def make(**fields):
        return make_recipe(
            {
                "runtime": "onnxruntime",
                "load": {"weights": str(weights)},
                "data": {"source": str(root / "images")},
                "preprocess": {"image_size": 32},
                "simplify": {"enabled": False},
                "quantize": {"subset_size": 6},
                "evaluate": {"allow_bad_model": True, "max_drop_pp": 100.0},
                "benchmark": {
                    "batches": [1],
                    "rounds": 2,
                    "min_round_ms": 1,
                    "warmup": 1,
                    "threads": 1,
                },
                **fields,
            }
        )

    return make


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    yield from ssh_boards.serve(tmp_path_factory.mktemp("sshd"))
