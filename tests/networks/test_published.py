from edge_convnext.networks.published import HubWeights


def test_weights_of_the_hub_are_prepared_as_timm_evaluates_them():
    found = HubWeights("timm/net.tag", "MIT", crop_pct=0.95).published_as("w.pth of timm/net.tag")
    assert (found.name, found.repository, found.licence) == (
        "w.pth of timm/net.tag", "timm/net.tag", "MIT",
    )  # fmt: skip
    settings = found.preprocess
    assert (settings.resize, settings.crop_pct) == ("shortest", 0.95)
    assert (settings.interpolation, settings.image_size) == ("bicubic", 224)
    assert HubWeights("a/b", "MIT").crop_pct == 0.875
