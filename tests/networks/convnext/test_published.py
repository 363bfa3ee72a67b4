from edge_convnext.networks.convnext.hub import IN1K
from edge_convnext.networks.convnext.published import PUBLISHED_TOP1


def test_every_figure_is_of_weights_that_can_be_had_and_has_its_source():
    assert set(PUBLISHED_TOP1) <= set(IN1K)
    for name, one in PUBLISHED_TOP1.items():
        assert 70.0 < one.top1_pct < 90.0
        assert one.source
        assert "timm" not in one.source or name.removeprefix("convnextv2_") in one.source


def test_larger_networks_are_better():
    for version, names in (("v2", "atto femto pico nano tiny base large huge"),
                           ("v1", "tiny small base")):  # fmt: skip
        found = [PUBLISHED_TOP1[f"convnext{version}_{name}"].top1_pct for name in names.split()]
        assert found == sorted(set(found))
