"""What the features of a CPU mean for INT8: which instruction multiplies, and what it has to beat.

Source: ONNX Runtime 1.32's choice of kernels (`core/mlas/lib/platform.cpp`) and Arm's and Intel's
names of the instructions. Saturation was measured: benchmarks/results/2026-11-30-cpus.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

__all__ = ["explain_int8", "saturates", "warn_of_saturation"]

_BEAT = "which INT8 has to beat"
_MEANINGS = {
    "avx2": "VPMADDUBSW multiplies uint8 by int8 and sums pairs in 16 bits",
    "avx512f": "the same on vectors of twice the width",
    "avx512_vnni": "VPDPBUSD: four products of uint8 by int8 at once, summed in 32 bits, exact",
    "avx_vnni": "VPDPBUSD on vectors of 256 bits: four products at once, summed in 32 bits, exact",
    "avx512_bf16": f"floats may run in bfloat16, {_BEAT}",
    "avx512_fp16": f"floats may run in float16, {_BEAT}",
    "amx_int8": "TDPBUSD: tiles of INT8 products, summed in 32 bits, exact",
    "amx_bf16": f"tiles of bfloat16 products, {_BEAT}",
    "asimdhp": f"OpenVINO may run floats in float16, {_BEAT}",
    "asimddp": "SDOT and UDOT: four INT8 products at once, summed in 32 bits, exact",
    "i8mm": "SMMLA and UMMLA: INT8 products of 2x8 by 8x2, twice as many as SDOT has",
    "bf16": f"BFMMLA: floats may run in bfloat16, {_BEAT}; ONNX Runtime does so when told to "
    "(mlas.enable_gemm_fastmath_arm64_bfloat16)",
    "sve": "longer vectors: OpenVINO's library for Arm has INT8 kernels for them, ONNX Runtime's "
    "INT8 products take SDOT or SMMLA",
    "sve2": "the same as sve for INT8",
}
_WIDENED = (
    "no dot product (asimddp): INT8 is widened to 16 bits before it is multiplied, so it may be no "
    "faster than float"
)
_SUM_IN_32_BITS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def explain_int8(flags: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Say what each feature of a CPU means for INT8.

    Args:
        flags: Features, as `probes.read_cpu` lists them.

    Returns:
        Pairs of a feature and its meaning; what a feature has nothing to do with is left out.
    """
    found = [(flag, _MEANINGS[flag]) for flag in flags if flag in _MEANINGS]
    if "asimd" in flags and "asimddp" not in flags:
        found.insert(0, ("asimd", _WIDENED))
    return tuple(found)


def saturates(flags: Iterable[str]) -> bool:
    """Whether products of uint8 by int8 lose bits: on x86 with AVX2 and without VNNI."""
    found = frozenset(flags)
    return "avx2" in found and not found & _SUM_IN_32_BITS


def warn_of_saturation(flags: Iterable[str]) -> str | None:
    """Say what INT8 loses on this CPU; None where its products are exact."""
    if not saturates(flags):
        return None
    return (
        "This x86 CPU has no VNNI: INT8 products of uint8 by int8 are summed in pairs of 16 bits, "
        "which overflow: ONNX Runtime's logits lost 5 dB where that was tried. With "
        "session.x64quantprecision=1 they lose none: that is raced beside."
    )
