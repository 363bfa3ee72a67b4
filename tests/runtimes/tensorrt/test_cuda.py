import pytest

from edge_convnext.runtimes.tensorrt import cuda
from edge_convnext.runtimes.tensorrt.cuda import read_driver

PC = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC 13.2\n"


@pytest.mark.parametrize(
    ("text", "version"), [(PC, "580.65.06"), ("NVRM version: none\nGCC 13.2.0\n", None), ("", None)]
)
def test_the_driver_is_told_by_the_first_line_alone(tmp_path, monkeypatch, text, version):
    monkeypatch.setattr(cuda, "DRIVER", tmp_path / "version")
    (tmp_path / "version").write_text(text)
    assert read_driver() == version


def test_a_jetson_has_no_such_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cuda, "DRIVER", tmp_path / "none")
    assert read_driver() is None
