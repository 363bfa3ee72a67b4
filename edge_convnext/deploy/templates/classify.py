"""usage: python classify.py model.engine leaf.jpg; needs numpy, Pillow, cuda-python, TensorRT."""

import json
import sys
from importlib import import_module, util
from pathlib import Path


def read_image(path, model):
    np, pil, ops = map(import_module, ("numpy", "PIL.Image", "PIL.ImageOps"))
    pre, grey = model["preprocess"], model["in_channels"] == 1
    im = ops.exif_transpose(pil.open(path)).convert("L" if grey else "RGB")
    side, short = pre["image_size"], round(pre["image_size"] / pre["crop_pct"])
    size = [int(short * e / min(im.size)) if pre["resize"] == "shortest" else side for e in im.size]
    im = im.resize(size, pil.Resampling[pre["interpolation"].upper()])
    left, top = (round((edge - side) / 2) for edge in size)
    pixels = np.asarray(im.crop((left, top, left + side, top + side))).reshape(side, side, -1)
    if model.get("images_type") != "uint8":
        mean, std = (np.mean(pre[key]) if grey else pre[key] for key in ("mean", "std"))
        pixels = (pixels / 255 - mean) / std
    return pixels[None] if model.get("images_layout") == "nhwc" else pixels.transpose(2, 0, 1)[None]


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
        trt, model = import_module(facts.get("runtime", "tensorrt_rtx")), facts["model"]
        logits = infer(trt, Path(sys.argv[1]).read_bytes(), read_image(sys.argv[2], model))
    except (ImportError, OSError) as error:
        sys.exit(f"{error}; {__doc__}")
    for index in (-logits).argsort()[:5]:
        print(f"{logits[index]:8.3f}  {model['classes'][index] if model['classes'] else index}")
