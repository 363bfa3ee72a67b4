import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.devices.catalog.lookup import find_device, find_gpu, find_jetpack


@pytest.mark.parametrize(
    ("release", "version", "note"),
    [
        ("36.4.3", "6.2", None),
        ("36.4", "6.1", None),
        ("35.6.4", "5.1.6", None),
        ("39.2.0", "7.2", None),
        ("36.4.9", "6.2.1", "36.4.9 is not in the table; the nearest is 36.4.7, JetPack 6.2.1"),
        ("36.99", "6.2.3", "the nearest is 36.5.2"),
        ("35.1.0", "5.1", "the nearest is 35.2.1"),
        ("32.7.1", None, "32.7.1 is not in the table, which has 35 to 39"),
        ("40.0.0", None, "which has 35 to 39"),
    ],
)
def test_a_release_of_jetson_linux_is_looked_up_or_its_nearest_is_told(release, version, note):
    match = find_jetpack(release)
    assert match.version == version
    assert (match.row is None) == (version is None)
    assert (note is None and match.note is None) or note in match.note


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4070 Ti", "rtx-4070-ti"),
        ("NVIDIA GeForce RTX 4070 Laptop GPU", None),
        ("NVIDIA A10", "a10"),
        ("NVIDIA A10G", None),
        ("Tesla T4", "t4"),
        ("", None),
    ],
)
def test_a_gpu_is_found_by_the_name_nvidia_smi_gives(name, found):
    device = find_gpu(name)
    assert (device and device.name) == found


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("orin-nono-8gb", "did you mean 'orin-nano-8gb'"),
        ("ORIN-NANO-8GB", "did you mean 'orin-nano-8gb'?"),
        ("RTX 4090", "did you mean 'rtx-4090'?"),
        ("nano", "did you mean 'orin-nano-4gb' or 'orin-nano-8gb'?"),
        ("a100", "no device 'a100'; `edge-convnext targets` lists"),
    ],
)
def test_an_unknown_device_is_told_with_what_was_meant(name, meant):
    with pytest.raises(RecipeError) as caught:
        find_device(name)
    assert meant in str(caught.value)
    assert "`edge-convnext targets` lists all" in str(caught.value)
    assert len(str(caught.value)) < 160
