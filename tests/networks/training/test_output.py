"""Where a training writes: refused at once, and left as it was where nothing came of it."""

import pytest

from edge_convnext.core.errors import TrainingError
from edge_convnext.networks.training.output import folder_of, require_weights_file


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("t2", "t2/weights.safetensors"),
        ("new", "new.safetensors"),
        ("t2/ck.pth", "t2/ck.safetensors"),
        ("folder.safetensors", "folder.safetensors/weights.safetensors"),
    ],
)
def test_a_name_for_no_weights_is_refused_with_one_to_pass(tmp_path, name, better):
    for folder in ("t2", "folder.safetensors"):
        (tmp_path / folder).mkdir()
    with pytest.raises(TrainingError) as caught:
        require_weights_file(tmp_path / name)
    assert str(caught.value).endswith(
        f"{name}: weights are saved as a file named *.safetensors; pass --out {tmp_path / better}"
    )
    require_weights_file(tmp_path / better)


def test_folders_that_were_made_go_where_the_work_fails(tmp_path):
    output = tmp_path / "a" / "b" / "w.safetensors"

    def stop():
        with folder_of(output):
            assert output.parent.is_dir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert not list(tmp_path.iterdir())
    with folder_of(output):
        pass
    assert not list(output.parent.iterdir())


def test_folders_that_were_there_or_hold_something_stay(tmp_path):
    (tmp_path / "there").mkdir()

    def diverge(output, state):
        with folder_of(output):
            if state:
                output.with_name("w.safetensors.state").touch()
            raise TrainingError("diverged")

    for name in ("there", "made"):
        with pytest.raises(TrainingError):
            diverge(tmp_path / name / "w.safetensors", state=name == "made")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["made", "there"]


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(TrainingError, match=r"can't be written \(File exists\)"),
        folder_of(tmp_path / "file" / "w.safetensors"),
    ):
        pass
