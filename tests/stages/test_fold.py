from support.fold_info import SMALL, info_of

from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.fold import fold_state_dict
from edge_convnext.networks.tensors import read_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.fold import fold_weights


def test_the_stage_keeps_the_info_and_marks_the_weights_as_folded(tmp_path):
    state = random_state(SMALL, 0)
    raw = save_weights(state, SMALL, info_of(SMALL), tmp_path / "raw.safetensors")
    folded = fold_weights(raw, tmp_path / "folded.safetensors")
    assert (raw.folded, folded.folded) == (False, True)
    assert folded.info == raw.info
    assert read_state(folded.path).keys() == fold_state_dict(state, SMALL).keys()


def test_folding_the_same_weights_twice_gives_the_same_bytes(tmp_path):
    raw = save_weights(random_state(SMALL, 0), SMALL, info_of(SMALL), tmp_path / "raw.safetensors")
    first = fold_weights(raw, tmp_path / "first.safetensors")
    second = fold_weights(raw, tmp_path / "second.safetensors")
    assert first.path.read_bytes() == second.path.read_bytes()
