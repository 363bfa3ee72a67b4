import pytest
import torch
from support.checkpoints import flip_in_part

from edge_convnext.core.errors import TrainingError
from edge_convnext.networks.training.state import (
    EpochRow,
    TrainState,
    check_replaceable,
    load_state,
    save_state,
)

ROW = EpochRow(1, 0.5, 1e-3, 90.0, 2.0)
STATE = TrainState("print", (ROW,), {"a": torch.ones(2)}, {"a": torch.zeros(2)}, {"state": {}})


def test_a_state_is_read_back_by_its_own_run_alone(tmp_path):
    path = tmp_path / "state"
    assert load_state(path, "print") is None
    check_replaceable(path)
    save_state(STATE, path)
    found = load_state(path, "print")
    assert found.rows == (ROW,)
    assert torch.equal(found.network["a"], torch.ones(2))
    assert torch.equal(found.average["a"], torch.zeros(2))
    check_replaceable(path)
    with pytest.raises(TrainingError, match="belongs to a run with other settings or data"):
        load_state(path, "other")


@pytest.mark.parametrize("content", [{"model": {}}, {"fingerprint": "print", "rows": []}, [1]])
def test_a_file_of_anybodys_is_neither_read_nor_replaced(tmp_path, content):
    path = tmp_path / "state"
    torch.save(content, path)
    with pytest.raises(TrainingError, match=r"training state of this version \(.+\); move it away"):
        load_state(path, "print")
    with pytest.raises(TrainingError, match="no training wrote it; move it"):
        check_replaceable(path)


def test_a_state_that_can_not_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"state can't be written .* another --out"):
        save_state(STATE, tmp_path / "file" / "state")


def test_a_state_whose_bytes_changed_is_not_resumed(tmp_path):
    path = tmp_path / "state"
    save_state(TrainState("print", (ROW,), {"a": torch.ones(2)}, {"a": torch.zeros(2)}, {}), path)
    flip_in_part(path, "data/0", 0)
    with pytest.raises(TrainingError, match=r"version \(damaged: its part .*; move it away"):
        load_state(path, "print")
