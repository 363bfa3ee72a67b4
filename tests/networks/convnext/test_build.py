import pytest
from support.fold_info import SMALL, info_of

from edge_convnext.networks.convnext.build import build_network, random_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.fold import fold_weights


def test_a_form_is_not_built_from_weights_in_the_wrong_state(tmp_path):
    raw = save_weights(random_state(SMALL, 0), SMALL, info_of(SMALL), tmp_path / "raw.safetensors")
    folded = fold_weights(raw, tmp_path / "folded.safetensors")
    with pytest.raises(ValueError, match="unfolded"):
        build_network(raw, "linear")
    with pytest.raises(ValueError, match="folded"):
        build_network(folded, "raw")
    with pytest.raises(ValueError, match="already"):
        fold_weights(folded, tmp_path / "twice.safetensors")
