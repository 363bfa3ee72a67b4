import io
import re
from dataclasses import replace

from rich.console import Console
from support.examinations import EXAMINATION

from edge_convnext.cli.views.doctor import print_examination
from edge_convnext.devices.catalog.this_gpu import match_gpu
from edge_convnext.devices.probes import Gpu


def test_the_examination_says_what_is_missing_and_how_to_get_it():
    console = Console(file=io.StringIO(), width=100)
    print_examination(EXAMINATION, console)
    text = console.file.getvalue()
    assert "no NVIDIA GPU found" in text
    assert re.search(r"rtx +no +no \[rtx\]", text)
    assert re.search(r"openvino +not installed +pip install 'edge-convnext\[openvino\]'", text)
    assert "8.0 GiB" in text


def test_features_are_told_with_what_they_mean_for_int8():
    console = Console(file=io.StringIO(), width=100)
    pairs = (("asimddp", "SDOT and UDOT"), ("i8mm", "SMMLA"))
    print_examination(replace(EXAMINATION, int8=pairs, int8_warning="no VNNI"), console)
    text = console.file.getvalue()
    assert re.search(r"int8 +asimddp: SDOT and UDOT", text)
    assert re.search(r"int8 +i8mm: SMMLA", text)
    assert re.search(r"warning +no VNNI", text)


def test_the_examination_shows_gpus_and_jetsons():
    gpu = Gpu("NVIDIA L4", "8.9", "580.1", 23034)
    console = Console(file=io.StringIO(), width=100)
    target = match_gpu(gpu.name, gpu.compute_capability)
    seen = replace(EXAMINATION, gpus=(gpu,), gpu_targets=(target,), jetson="Jetson Linux 36.4.3")
    print_examination(seen, console)
    text = console.file.getvalue()
    assert "NVIDIA L4, compute capability 8.9, driver 580.1" in text
    assert "engine built ahead of time with TensorRT for RTX" in text
    assert "fp16 first" in text
    assert "Jetson Linux 36.4.3" in text
