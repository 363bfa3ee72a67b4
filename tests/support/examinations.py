"""What `doctor` finds on a machine without a GPU."""

from edge_convnext.devices.doctor import Ability, Examination, Package

EXAMINATION = Examination(
    edge_convnext="0.1.0",
    python="3.12.1",
    platform="Linux",
    cpu_model="Some CPU",
    cpu_flags=("avx2",),
    cores=4,
    memory_bytes=8 << 30,
    gpus=(),
    gpu_targets=(),
    jetson=None,
    board=None,
    packages=(Package("rich", "15.0", None), Package("openvino", None, "openvino")),
    abilities=(Ability("target", "rtx", works=False, reason="no [rtx]"),),
    cache_folder="/home/someone/.cache/edge-convnext",
)
