"""Every peer: its tool, its settings by name, and the environment that it needs.

What a variant means stands in the adapter, in the tool's own words.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ENVIRONMENTS", "PEERS", "Peer"]

_TORCH = "torch==2.13.0"
# By name, what pip installs. A package that a tool needs and does not ask for is named as such.
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "neural-compressor-2": (
        _TORCH,
        "neural-compressor==2.6",  # the last that `pip` offers with ONNX in it
        "onnx==1.17.0",
        "onnxruntime==1.23.2",
        "setuptools<81",  # not asked for: it imports pkg_resources
        "six",  # not asked for
    ),
    "neural-compressor-3": (
        _TORCH,
        "neural-compressor==3.10",
        "onnx==1.23.2",
        "onnxruntime==1.32.0",
    ),
    "onnx-neural-compressor": (
        _TORCH,
        "onnx-neural-compressor==1.0",
        "prettytable",  # not asked for
        "scipy<1.16",  # not asked for; with the numpy 1 that it pins
    ),
    "olive": (
        _TORCH,
        "olive-ai==0.13.0",
        "onnxruntime==1.32.0",
        "requests",  # not asked for: no command starts without
    ),
    # The extra `onnx` without CUDA: its cupy is left out, its onnxruntime-gpu is the CPU build.
    "modelopt": (
        _TORCH,
        "nvidia-modelopt==0.47.0",
        "onnx==1.21.0",
        "onnxruntime~=1.24.2",
        "onnx-graphsurgeon>=0.6.1",
        "onnxconverter-common==1.16.0",
        "onnxscript",
        "onnxslim>=0.1.76",
        "polygraphy>=0.53.4",
        "cppimport",
        "lief",
        "ml_dtypes",
    ),
}


@dataclass(frozen=True)
class Peer:
    """One way to quantize that somebody else offers."""

    name: str  # unique, names its folder
    tool: str
    variant: str  # for a reader
    adapter: str  # in `adapters/`
    choice: str  # the variant as the adapter calls it
    environment: str | None = None  # None: the interpreter that runs this
    file: str = "graph.onnx"  # what it makes
    only_runtime: str | None = None  # where that runs; None: anywhere

    @property
    def label(self) -> str:
        """Unique as well."""
        return f"{self.tool}, {self.variant}"


def _ort(choice: str, variant: str) -> Peer:
    return Peer(f"ort-{choice}", "ONNX Runtime", variant, "run_ort", choice)


def _nncf(choice: str, variant: str) -> Peer:
    return Peer(f"nncf-{choice}", "NNCF", variant, "run_nncf", choice)


def _nncf_openvino(choice: str, variant: str) -> Peer:
    name = f"nncf-openvino-{choice}"
    return Peer(name, "NNCF", variant, "run_nncf", choice, None, "graph.xml", "openvino")


def _modelopt(choice: str, variant: str) -> Peer:
    return Peer(f"modelopt-{choice}", "ModelOpt", variant, "run_modelopt", choice, "modelopt")


def _olive(choice: str, variant: str) -> Peer:
    return Peer(f"olive-{choice}", "Olive", variant, "run_olive", choice, "olive")


def _inc(version: str, choice: str, variant: str) -> Peer:
    adapter = "run_onnx_inc" if version.startswith("onnx") else "run_inc"
    tool = {
        "neural-compressor-2": "Neural Compressor 2.6",
        "neural-compressor-3": "Neural Compressor 3.10",
        "onnx-neural-compressor": "ONNX Neural Compressor",
    }[version]
    return Peer(f"{version}-{choice}", tool, variant, adapter, choice, version)


PEERS: tuple[Peer, ...] = (
    _ort("static", "`quantize_static`, defaults"),
    _ort("static-s8s8", "static, S8S8, Conv/MatMul/Gemm, per channel, symmetric"),
    _ort("static-u8s8", "static, U8S8, Conv/MatMul/Gemm, per channel"),
    _ort("static-u8s8-pre", "the same after `quant_pre_process`"),
    _ort("static-u8s8-pre-symbolic-off", "the same, its symbolic shapes skipped"),
    _ort("dynamic", "`quantize_dynamic`, defaults"),
    _nncf("performance", "defaults (PERFORMANCE)"),
    _nncf("mixed", "MIXED"),
    _nncf("transformer", "model type TRANSFORMER"),
    _nncf_openvino("performance", "defaults, on OpenVINO's graph"),
    _nncf_openvino("transformer", "TRANSFORMER, on OpenVINO's graph"),
    _inc("neural-compressor-2", "default", "defaults"),
    _inc("neural-compressor-2", "qdq", "Q/DQ"),
    _inc("neural-compressor-3", "default", "defaults"),
    _inc("onnx-neural-compressor", "default", "defaults"),
    _inc("onnx-neural-compressor", "qdq", "Q/DQ, per channel"),
    _olive("static", "static, defaults"),
    _olive("static-no-pre", "static, no preprocessing"),
    _olive("dynamic", "dynamic, defaults"),
    _modelopt("default", "defaults (INT8 and FP16)"),
    _modelopt("fp32", "INT8 and FP32"),
    _modelopt("fp32-max", "INT8 and FP32, calibration `max`"),
)
