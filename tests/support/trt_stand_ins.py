"""Stand-ins for TensorRT and CUDA that run on any machine.

They have what both deployed programs call and nothing else, each of it in TensorRT 8.6, 10.3,
10.13, 10.16, 11.0, 11.4 and TensorRT for RTX 1.7. Their network is
logits[k] = (k + 1) * mean(images of one batch item), so that what reaches it can be told.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np

CLASSES = 5
TYPES = {"FLOAT": np.float32, "HALF": np.float16, "UINT8": np.uint8}


class Engine:
    def __init__(self, shape, kind, names):
        self._shape, self._kind, self._names = shape, kind, names
        self.num_io_tensors = 2

    def get_tensor_name(self, index):
        return self._names[1 - index]  # the output first: nothing says otherwise

    def get_tensor_mode(self, name):
        return "INPUT" if name == self._names[0] else "OUTPUT"

    def get_tensor_shape(self, name):
        return self._shape if name == self._names[0] else (self._shape[0], CLASSES)

    def get_tensor_dtype(self, name):
        return SimpleNamespace(name=self._kind if name == self._names[0] else "FLOAT")

    def create_execution_context(self):
        return Context(self)


class Context:
    def __init__(self, engine):
        self._engine, self._at, self._batch = engine, {}, engine._shape[0]

    def set_input_shape(self, name, shape):
        fits = tuple(shape[1:]) == tuple(self._engine._shape[1:])
        self._batch = shape[0]
        return fits and self._engine._shape[0] in (-1, shape[0])

    def get_tensor_shape(self, name):
        return (self._batch, *self._engine.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name, address):
        assert type(address) is int
        self._at[name] = address
        return True

    def execute_async_v3(self, stream):
        assert stream == 7
        engine, (source, result) = self._engine, self._engine._names
        images = view(self._at[source], self.get_tensor_shape(source), TYPES[engine._kind])
        means = images.astype(np.float64).mean(axis=(1, 2, 3))
        logits = view(self._at[result], (self._batch, CLASSES), np.float32)
        logits[...] = means[:, None] * np.arange(1, CLASSES + 1)
        return True


def view(address, shape, kind):
    kind, count = np.dtype(kind), int(np.prod(shape))
    return np.frombuffer((ctypes.c_uint8 * (count * kind.itemsize)).from_address(address), kind)[
        :count
    ].reshape(shape)


def tensorrt(shape=(-1, 3, 4, 4), kind="FLOAT", names=("images", "logits"), loads=True):
    """A module whose runtime loads any bytes as one engine."""

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, logger):
            pass

        def deserialize_cuda_engine(self, plan):
            return Engine(shape, kind, names) if loads else None

    class Logger:
        pass

    module = ModuleType("tensorrt")
    module.Runtime, module.Logger = Runtime, Logger
    module.TensorIOMode = SimpleNamespace(INPUT="INPUT", OUTPUT="OUTPUT")
    return module


def cuda(fails=None):
    """cuda-python's runtime API over host memory."""
    held = []

    def answer(name, *values):
        return (2 if name == fails else 0, *values)

    def cuda_malloc(size):
        held.append((ctypes.c_uint8 * size)())
        return answer("cudaMalloc", ctypes.addressof(held[-1]))

    def cuda_memcpy(target, source, size, kind):
        assert isinstance(kind, tuple)  # an enum in cuda-python: plain numbers are refused
        ctypes.memmove(target, source, size)
        return answer("cudaMemcpy")

    module = ModuleType("cuda.bindings.runtime")
    module.cudaMalloc, module.cudaMemcpy = cuda_malloc, cuda_memcpy
    module.cudaStreamCreate = lambda: answer("cudaStreamCreate", 7)
    module.cudaMemcpyKind = lambda number: ("kind", number)
    return module


def install(monkeypatch, trt, cuda_runtime, name="tensorrt", new_cuda=True):
    """Put the stand-ins where `import` finds them."""
    package = ModuleType("cuda")
    package.__path__ = []
    modules = {"cuda": package, name: trt}
    if new_cuda:
        bindings = ModuleType("cuda.bindings")
        bindings.__spec__ = ModuleSpec("cuda.bindings", None)
        modules |= {"cuda.bindings": bindings, "cuda.bindings.runtime": cuda_runtime}
    else:
        modules["cuda.cudart"] = cuda_runtime
    for key, module in modules.items():
        monkeypatch.setitem(sys.modules, key, module)


NV_INFER_H = """\
#pragma once
#include <cuda_runtime_api.h>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
namespace nvinfer1 {
struct Dims { int32_t nbDims; int64_t d[8]; };
enum class TensorIOMode : int32_t { kNONE = 0, kINPUT = 1, kOUTPUT = 2 };
enum class DataType : int32_t { kFLOAT = 0, kHALF = 1, kUINT8 = 5 };
#ifdef HALVES
struct Value {  // a float16, found by trying
    Value(double wanted = 0) {
        for (uint32_t b = 0; b < 65536; ++b) {
            if (std::fabs(read(b) - wanted) < std::fabs(read(bits) - wanted)) bits = uint16_t(b);
        }
    }
    operator double() const { return read(bits); }
    static double read(uint32_t b) {
        int const e = b >> 10 & 31;
        double const m = e ? std::ldexp(1024 + (b & 1023), e - 25) : std::ldexp(b & 1023, -24);
        return b >> 15 ? -m : m;
    }
    uint16_t bits = 0;
};
#else
using Value = float;
#endif
class ILogger {
public:
    enum class Severity : int32_t { kINTERNAL_ERROR, kERROR, kWARNING, kINFO, kVERBOSE };
    virtual void log(Severity severity, char const* msg) noexcept = 0;
    virtual ~ILogger() = default;
};
class IExecutionContext {
public:
    bool setInputShape(char const* name, Dims const& dims) noexcept { shape = dims; return name; }
    bool setTensorAddress(char const* name, void* data) noexcept {
        if (!std::strcmp(name, "pixels")) in = static_cast<Value*>(data);
        else if (!std::strcmp(name, "scores")) out = static_cast<Value*>(data);
        else return false;
        return true;
    }
    bool enqueueV3(cudaStream_t) noexcept {
        std::size_t const count = shape.d[1] * shape.d[2] * shape.d[3];
        for (int64_t b = 0; b < shape.d[0]; ++b) {
            double sum = 0;
            for (std::size_t i = 0; i < count; ++i) sum += in[b * count + i];
            for (int k = 0; k < 5; ++k) out[b * 5 + k] = Value((k + 1) * sum / count);
        }
        return true;
    }
    Dims shape{};
    Value* in = nullptr;
    Value* out = nullptr;
};
class ICudaEngine {
public:
    int32_t getNbIOTensors() const noexcept { return 2; }
    char const* getIOTensorName(int32_t i) const noexcept { return i ? "pixels" : "scores"; }
    TensorIOMode getTensorIOMode(char const* name) const noexcept {
        return std::strcmp(name, "pixels") ? TensorIOMode::kOUTPUT : TensorIOMode::kINPUT;
    }
    Dims getTensorShape(char const*) const noexcept { return {4, {-1, 3, 4, 4}}; }
    DataType getTensorDataType(char const*) const noexcept {
        return sizeof(Value) == 2 ? DataType::kHALF : DataType::kFLOAT;
    }
    IExecutionContext* createExecutionContext() noexcept { return new IExecutionContext; }
};
class IRuntime {
public:
    void setEngineHostCodeAllowed(bool) noexcept {}
    ICudaEngine* deserializeCudaEngine(void const*, std::size_t size) noexcept {
        return size ? new ICudaEngine : nullptr;
    }
};
inline IRuntime* createInferRuntime(ILogger&) noexcept { return new IRuntime; }
}  // namespace nvinfer1
"""
CUDA_RUNTIME_API_H = """\
#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
enum cudaError_t { cudaSuccess = 0 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
typedef struct CUstream_st* cudaStream_t;
inline char const* cudaGetErrorString(cudaError_t) { return "error"; }
inline cudaError_t cudaStreamCreate(cudaStream_t*) { return cudaSuccess; }
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaMalloc(void** at, std::size_t size) {
    *at = std::malloc(size);
    return cudaSuccess;
}
inline cudaError_t cudaFree(void* at) { std::free(at); return cudaSuccess; }
inline cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t n, cudaMemcpyKind,
                                   cudaStream_t) { std::memcpy(to, from, n); return cudaSuccess; }
"""
