import pytest

from edge_convnext.devices.ssh.lacking import why_no_engines


def target(name, works, reason=None):
    return {"kind": "target", "name": name, "works": works, "reason": reason}


NO_CUDA = target("tensorrt", False, "CUDA from Python is missing:\n pip install …")
NO_RTX = target("rtx", False, "no TensorRT for RTX")


@pytest.mark.parametrize("board", [{"jetson": "Orin Nano"}, {"gpus": [{"name": "GeForce"}]}])
def test_a_board_with_a_gpu_and_no_way_to_it_is_told_why(board):
    told = why_no_engines({**board, "abilities": [target("cpu", True), NO_RTX, NO_CUDA]})
    assert told == (
        "no engine will be built there, and its GPU is not measured: CUDA from Python is missing: "
        "pip install …"
    )
    assert why_no_engines({**board, "abilities": [NO_RTX]}).endswith("no TensorRT for RTX")


@pytest.mark.parametrize(
    "seen",
    [
        {"jetson": None, "gpus": [], "abilities": [NO_CUDA, NO_RTX]},
        {"jetson": "Orin", "abilities": [target("tensorrt", True), NO_RTX]},
        {"jetson": "Orin", "abilities": [NO_CUDA, target("rtx", True)]},
        {"jetson": "Orin", "abilities": []},
        {"jetson": "Orin"},
        {"jetson": "Orin", "abilities": [3, {"kind": "runtime", "name": "tensorrt"}]},
    ],
)
def test_others_are_told_nothing(seen):
    assert why_no_engines(seen) == ""
