import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.litert_plan import is_tuned, require_tuned


def test_litert_is_not_tuned():
    require_tuned("auto")
    require_tuned("openvino")
    assert not is_tuned("litert")
    with pytest.raises(RecipeError, match="litert has one plan"):
        require_tuned("litert")
