import pytest
from support.bench_boards import ORT

from edge_convnext.core.marks import mark
from edge_convnext.devices.bench import bench_bundle

pytest.importorskip("torch", reason="the build extra is not installed")


def test_another_bundle_s_work_goes_and_the_user_s_stays(root, tmp_path):
    out = tmp_path / "out"
    for name in ("0123456789abcdef", "fedcba9876543210", "engines", "mine"):
        (out / "work" / name).mkdir(parents=True)
    mark(out / "work" / "0123456789abcdef")
    bench_bundle(root / "tiny.ecb", out, ORT)
    assert not (out / "work" / "0123456789abcdef").exists()
    assert (out / "work" / "fedcba9876543210").exists()  # it may be called so, and is not ours
    assert (out / "work" / "engines").is_dir()
    assert (out / "work" / "mine").is_dir()
