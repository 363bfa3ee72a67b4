import pytest

from edge_convnext.core.errors import LoadError
from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.stated_numbers import require_numbers


def test_what_is_not_stated_or_is_so_passes():
    require_numbers(LoadConfig(), (5, 3), "", "w")
    require_numbers(LoadConfig(num_classes=5, in_channels=3), (5, 3), "", "w")


@pytest.mark.parametrize(
    ("stated", "otherwise", "told"),
    [
        ({"num_classes": 4}, "", "w.pth: num_classes is 5 in w, not 4; leave load.num_classes out"),
        (
            {"in_channels": 1},
            "train",
            "w.pth: in_channels is 3 in w, not 1; leave load.in_channels out, or train",
        ),
    ],
)
def test_another_number_is_refused_with_both(stated, otherwise, told):
    with pytest.raises(LoadError) as caught:
        require_numbers(LoadConfig(**stated), (5, 3), "w.pth: ", "w", otherwise)
    assert str(caught.value) == told
