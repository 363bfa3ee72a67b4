"""The cost model: a time for every kernel of a plan, on a device of the table.

    time = launch + max(bytes / bandwidth, INT8 ops / INT8 peak + FP16 ops / FP16 peak, core ops
           / FP32 peak)

and a plan takes the sum of its kernels, which run one after another. The model leaves out tiles
that small maps do not fill, alignment of channels, clocks and power modes, and kernels that
overlap. It is for ranking plans of one network, not for predicting their latency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.build.tuning.kernel_traffic import find_traffic
from edge_convnext.build.tuning.kernel_work import count_work
from edge_convnext.core.errors import RecipeError
from edge_convnext.devices.catalog.lookup import find_device
from edge_convnext.devices.catalog.rows import load_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.devices.catalog.rows import Device
    from edge_convnext.runtimes.tensorrt.builder_log import Kernel

__all__ = [
    "Calibration",
    "Gpu",
    "KernelCost",
    "PlanCost",
    "cost_kernels",
    "cost_plan",
    "find_model_gpu",
    "gpu_of",
    "gpu_of_capability",
    "least_int8_ms",
]

_MIB = 2**20
# Ratio of tensor cores' INT8 peak to CUDA cores' float32 peak, both dense: 16 on Jetsons and
# Turing, 8 on desktop GPUs from Ampere on (`targets/gpus.yaml`). From memory, as those figures are.
_INT8_PER_FP32 = {"7.2": 16.0, "7.5": 16.0, "8.7": 16.0}
_INT8_PER_FP32_ELSE = 8.0


@dataclass(frozen=True)
class Gpu:
    """The figures of a device that the model uses; all peaks are dense."""

    name: str
    capability: str
    bandwidth_gb_s: float
    int8_tops: float
    fp32_tflops: float  # peak of the CUDA cores
    l2_mib: float | None  # None: unknown, and the cache is ignored
    unverified: tuple[str, ...] = ()  # names of the figures that no source confirms

    @property
    def fp16_tflops(self) -> float:
        """Float16 peak of the tensor cores: half the INT8 peak (`targets/architectures.yaml`)."""
        return self.int8_tops / 2


@dataclass(frozen=True)
class Calibration:
    """The shares of a device's peaks that kernels reach: assumed, or fitted by `cost_fit.fit`.

    A launch within a CUDA graph costs 2 to 4 us, with the start and the tail of the kernel. The
    kernels of a small network fill a GPU only for a part of their time.
    """

    launch_us: float = 3.0
    bandwidth_share: float = 0.75
    peak_share: float = 0.5
    l2_speedup: float = 3.0  # the cache's bandwidth over that of memory
    use_l2: bool = True
    source: str = "assumed"


@dataclass(frozen=True)
class KernelCost:
    """The cost of one launch, in us; bytes and operations overlap, and the longer counts."""

    launch_us: float
    bytes_us: float
    compute_us: float


@dataclass(frozen=True)
class PlanCost:
    """The modelled cost of one inference; the three parts add up to `modelled_ms`."""

    kernels: int
    int8_kernels: int
    activation_bytes: int
    weight_bytes: int
    memory_bytes: int  # bytes of both kinds that do not come from the cache
    ops: int  # operations of all kernels
    int8_ops: int
    launch_ms: float
    bytes_ms: float  # time of kernels that wait for their bytes
    compute_ms: float  # time of kernels that wait for their operations

    @property
    def modelled_ms(self) -> float:
        """Time of one inference by the model; not a measurement."""
        return self.launch_ms + self.bytes_ms + self.compute_ms

    @property
    def shares_pct(self) -> tuple[float, float, float]:
        """Shares of launches, bytes and operations in `modelled_ms`."""
        parts = (self.launch_ms, self.bytes_ms, self.compute_ms)
        launch, moved, computed = (100 * part / self.modelled_ms for part in parts)
        return launch, moved, computed


def gpu_of(device: Device) -> Gpu:
    """The figures of a device, in its highest mode without Super.

    Raises:
        RecipeError: The table has no INT8 peak for it.
    """
    if device.peak is None:
        raise RecipeError(
            f"{device.name}: its INT8 peak is not known, so its plans can't be modelled; choose "
            "another --device (edge-convnext targets)"
        )
    capability = device.compute.capability
    ratio = _INT8_PER_FP32.get(capability, _INT8_PER_FP32_ELSE)
    cache = device.cache
    facts = {"bandwidth": device.memory, "INT8 peak": device.peak, "L2": cache}
    return Gpu(
        name=device.name,
        capability=capability,
        bandwidth_gb_s=device.memory.bandwidth_gb_s,
        int8_tops=device.peak.int8_dense_tops,
        fp32_tflops=device.peak.int8_dense_tops / ratio,
        l2_mib=cache.l2_mib if cache else None,
        unverified=tuple(name for name, fact in facts.items() if fact and fact.unverified),
    )


def gpu_of_capability(capability: str) -> Gpu:
    """The device of the table that has the least bandwidth with this compute capability.

    Raises:
        RecipeError: The table has no such device with a known peak.
    """
    known = [device for device in load_table().devices if device.peak is not None]
    own = [device for device in known if device.compute.capability == capability]
    if not own:
        there = sorted({device.compute.capability for device in known}, key=float)
        raise RecipeError(
            f"no device of compute capability {capability} with a known peak; there are "
            f"{', '.join(there)}"
        )
    return gpu_of(min(own, key=lambda device: device.memory.bandwidth_gb_s))


def find_model_gpu(device: str | None, capability: str | None) -> Gpu:
    """Find a device by name or compute capability; an 8 GB Orin Nano if neither is stated.

    Raises:
        RecipeError: Both are stated, there is no such device, or its peak is unknown.
    """
    if device is not None and capability is not None:
        raise RecipeError("--device has a compute capability: leave out --compute-capability")
    if capability is not None:
        return gpu_of_capability(capability)
    return gpu_of(find_device(device or "orin-nano-8gb"))


def cost_kernels(
    kernels: Sequence[Kernel], gpu: Gpu, calibration: Calibration
) -> tuple[KernelCost, ...]:
    """Model the time of every kernel of a plan, in launch order."""
    l2_bytes = int((gpu.l2_mib or 0.0) * _MIB) if calibration.use_l2 else 0
    bytes_per_us = 1e3 * gpu.bandwidth_gb_s * calibration.bandwidth_share
    tera = 1e6 * calibration.peak_share  # operations per us and TOPS
    costs = []
    for kernel, moved in zip(kernels, find_traffic(kernels, l2_bytes), strict=True):
        work = count_work(kernel)
        tensor_us = (work.int8_ops / gpu.int8_tops + work.fp16_ops / gpu.fp16_tflops) / tera
        costs.append(
            KernelCost(
                launch_us=calibration.launch_us,
                bytes_us=(moved.memory_bytes + moved.cache_bytes / calibration.l2_speedup)
                / bytes_per_us,
                compute_us=max(tensor_us, work.core_ops / gpu.fp32_tflops / tera),
            )
        )
    return tuple(costs)


def least_int8_ms(kernels: Sequence[Kernel], gpu: Gpu, calibration: Calibration) -> float:
    """The time of a float16 plan if INT8 halved all its bytes and operations.

    Q/DQ pairs save no launch, so hardly any placement gets below this.
    """
    costs = cost_kernels(kernels, gpu, calibration)
    return sum(one.launch_us + max(one.bytes_us, one.compute_us) / 2 for one in costs) / 1e3


def cost_plan(kernels: Sequence[Kernel], gpu: Gpu, calibration: Calibration) -> PlanCost:
    """Model the cost of one inference with a plan."""
    costs = cost_kernels(kernels, gpu, calibration)
    l2_bytes = int((gpu.l2_mib or 0.0) * _MIB) if calibration.use_l2 else 0
    work = [count_work(kernel) for kernel in kernels]
    return PlanCost(
        kernels=len(kernels),
        int8_kernels=sum(kernel.multiplies_int8 for kernel in kernels),
        activation_bytes=sum(kernel.activation_bytes for kernel in kernels),
        weight_bytes=sum(kernel.weight_bytes for kernel in kernels),
        memory_bytes=sum(moved.memory_bytes for moved in find_traffic(kernels, l2_bytes)),
        ops=sum(one.total_ops for one in work),
        int8_ops=sum(one.int8_ops for one in work),
        launch_ms=sum(one.launch_us for one in costs) / 1e3,
        bytes_ms=sum(one.bytes_us for one in costs if one.bytes_us >= one.compute_us) / 1e3,
        compute_ms=sum(one.compute_us for one in costs if one.bytes_us < one.compute_us) / 1e3,
    )
