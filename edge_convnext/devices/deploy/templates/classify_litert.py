"""usage: python classify.py leaf.jpg [model.tflite]; needs numpy, Pillow and ai-edge-litert."""

from __future__ import annotations

import sys
from pathlib import Path

try:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    from PIL import Image  # noqa: F401
except ImportError as error:
    sys.exit(f"{error}; {__doc__}")
from edge_convnext.data.pixels import read_image  # `deploy` puts the text of that file here

MODEL = {}  # `deploy` puts the model's own here
ASSETS = Path(__file__).resolve().parent / "assets"


def infer(model, images):
    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(entry["index"], np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])[0]


def main(source, model):
    images = read_image(source, MODEL).astype("float32")  # normalised, [1, C, H, W]
    logits = infer(model, images)
    np.isfinite(logits).all() or sys.exit("the model gave logits that are no numbers")
    labels = (ASSETS / "labels.txt").read_text(encoding="utf-8").split("\n")
    for index in (-logits).argsort()[:5]:
        label = "".join(c if c.isprintable() else "?" for c in labels[index])
        print(f"{logits[index]:8.3f}  {label}")


if __name__ == "__main__":
    len(sys.argv) in (2, 3) or sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else ASSETS / "model.tflite")
    except (LookupError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"{error}; {__doc__}")
