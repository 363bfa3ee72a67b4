import pytest

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.stated_weights import check_weights_file, is_path


@pytest.mark.parametrize(
    "weights", ["in1k", "in1k@abc", "random", "timm", "timm@abc", "hf:owner/name", "hf:folder"]
)
def test_a_keyword_or_a_name_is_no_path_and_looked_for_later(weights):
    assert not is_path(weights)
    check_weights_file(weights)


def test_a_path_that_leads_nowhere_is_told(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"x")
    assert is_path(str(tmp_path / "w.pth"))
    check_weights_file(str(tmp_path / "w.pth"))
    with pytest.raises(LoadError, match=r"gone\.pth"):
        check_weights_file(str(tmp_path / "gone.pth"))
