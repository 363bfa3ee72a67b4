"""python classify.py model.engine leaf.jpg: needs numpy, Pillow, cuda-python and TensorRT."""

import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

cuda = import_module("cuda.bindings.runtime" if find_spec("cuda.bindings") else "cuda.cudart")


def read_image(path, model):
    pre, grey = model["preprocess"], model["in_channels"] == 1
    image = ImageOps.exif_transpose(Image.open(path)).convert("L" if grey else "RGB")
    side, short = pre["image_size"], round(pre["image_size"] / pre["crop_pct"])
    size = tuple(int(short * edge / min(image.size)) for edge in image.size)
    size = size if pre["resize"] == "shortest" else (side, side)
    image = image.resize(size, Image.Resampling[pre["interpolation"].upper()])
    left, top = (round((edge - side) / 2) for edge in size)
    pixels = np.asarray(image.crop((left, top, left + side, top + side))).reshape(side, side, -1)
    if model.get("images_type") != "uint8":
        mean, std = (np.mean(pre[key]) if grey else pre[key] for key in ("mean", "std"))
        pixels = (pixels / 255 - mean) / std
    return pixels[None] if model.get("images_layout") == "nhwc" else pixels.transpose(2, 0, 1)[None]


def infer(trt, plan, images):
    def call(name, *arguments):
        status, *values = getattr(cuda, name)(*arguments)
        return sys.exit(f"{name}: {status}") if int(status) else (values or [None])[0]

    runtime = trt.Runtime(trt.Logger())
    runtime.engine_host_code_allowed = True  # version-compatible engines carry some: trust the file
    engine = runtime.deserialize_cuda_engine(plan) or sys.exit("the engine is not for this machine")
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    names.sort(key=lambda name: engine.get_tensor_mode(name) != trt.TensorIOMode.INPUT)
    images = np.repeat(images, max(engine.get_tensor_shape(names[0])[0], 1), axis=0)  # -1: any
    context, stream = engine.create_execution_context(), call("cudaStreamCreate")
    context.set_input_shape(names[0], images.shape) or sys.exit(f"can't run {images.shape}")
    types = {"FLOAT": np.float32, "HALF": np.float16, "UINT8": np.uint8}
    kinds = [types[engine.get_tensor_dtype(name).name] for name in names]
    logits = np.empty(tuple(context.get_tensor_shape(names[1])), kinds[1])
    arrays = [np.ascontiguousarray(images, kinds[0]), logits]
    memory = [call("cudaMalloc", array.nbytes) for array in arrays]
    [context.set_tensor_address(name, int(at)) for name, at in zip(names, memory, strict=True)]
    call("cudaMemcpy", memory[0], arrays[0].ctypes.data, arrays[0].nbytes, cuda.cudaMemcpyKind(1))
    context.execute_async_v3(int(stream)) or sys.exit("TensorRT failed")
    call("cudaMemcpy", logits.ctypes.data, memory[1], logits.nbytes, cuda.cudaMemcpyKind(2))
    return logits[0].astype(np.float32)


if __name__ == "__main__":
    facts = json.loads(Path(sys.argv[1] + ".json").read_text(encoding="utf-8"))
    trt, model = import_module(facts.get("runtime", "tensorrt_rtx")), facts["model"]
    logits = infer(trt, Path(sys.argv[1]).read_bytes(), read_image(sys.argv[2], model))
    for index in np.argsort(-logits)[:5]:
        print(f"{logits[index]:8.3f}  {model['classes'][index] if model['classes'] else index}")
