"""usage: python classify.py model.engine leaf.jpg; needs numpy, Pillow, cuda-python, TensorRT."""

from __future__ import annotations

import json
import sys
from importlib import import_module, util
from pathlib import Path

try:
    import numpy as np
    from PIL import Image  # noqa: F401
except ImportError as error:
    sys.exit(f"{error}; {__doc__}")
from edge_convnext.data.pixels import read_image  # `deploy` puts the text of that file here


def infer(trt, plan, images):
    def call(name, *arguments):
        status, *values = getattr(cuda, name)(*arguments)
        return sys.exit(f"{name}: {status}") if int(status) else (values or [None])[0]

    new = util.find_spec("cuda.bindings")
    cuda = import_module("cuda.bindings.runtime" if new else "cuda.cudart")
    runtime = trt.Runtime(trt.Logger())
    runtime.engine_host_code_allowed = True  # version-compatible engines carry some: trust the file
    engine = runtime.deserialize_cuda_engine(plan) or sys.exit("the engine is not for this machine")
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    names.sort(key=lambda name: engine.get_tensor_mode(name) != trt.TensorIOMode.INPUT)
    types = {"FLOAT": "float32", "HALF": "float16", "UINT8": "uint8"}
    kinds = [types[engine.get_tensor_dtype(name).name] for name in names]
    batch = max(engine.get_tensor_shape(names[0])[0], 1)  # -1: any
    images = images.repeat(batch, axis=0).astype(kinds[0])
    context, stream = engine.create_execution_context(), call("cudaStreamCreate")
    context.set_input_shape(names[0], images.shape) or sys.exit(f"can't run {images.shape}")
    logits = type(images)(tuple(context.get_tensor_shape(names[1])), kinds[1])
    memory = [call("cudaMalloc", array.nbytes) for array in (images, logits)]
    [context.set_tensor_address(name, int(at)) for name, at in zip(names, memory, strict=True)]
    call("cudaMemcpy", memory[0], images.ctypes.data, images.nbytes, cuda.cudaMemcpyKind(1))
    context.execute_async_v3(int(stream)) or sys.exit("TensorRT failed")
    call("cudaMemcpy", logits.ctypes.data, memory[1], logits.nbytes, cuda.cudaMemcpyKind(2))
    return logits[0].astype("float32")


if __name__ == "__main__":
    len(sys.argv) == 3 or sys.exit(__doc__)
    try:
        facts = json.loads(Path(sys.argv[1] + ".json").read_text(encoding="utf-8"))
        name, model = facts.get("runtime", "tensorrt_rtx"), facts["model"]
        name in ("tensorrt", "tensorrt_rtx") or sys.exit(f"no TensorRT is called {name!r}")
        image = read_image(sys.argv[2], model)
        logits = infer(import_module(name), Path(sys.argv[1]).read_bytes(), image)
    except (AttributeError, ImportError, LookupError, OSError, TypeError, ValueError) as error:
        sys.exit(f"{error}; {__doc__}")
    np.isfinite(logits).all() or sys.exit("the engine gave logits that are no numbers")
    for index in (-logits).argsort()[:5]:
        label = str(model["classes"][index] if model["classes"] else index)
        print(f"{logits[index]:8.3f}  {''.join(c if c.isprintable() else '?' for c in label)}")
