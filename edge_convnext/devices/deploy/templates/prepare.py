"""usage: python prepare.py leaf.jpg leaf.ppm (or leaf.pgm, leaf.npy); needs numpy and Pillow.

Writes what the model is given of an image, value for value as `edge-convnext predict` does: to a
.ppm, or a .pgm for a grey model, the pixels, which classify.cpp reads; to a .npy the whole input.
"""

from __future__ import annotations

import sys

try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    sys.exit(f"{error}; {__doc__}")
from edge_convnext.data.pixels import read_image  # `deploy` puts the text of that file here

MODEL = {}  # `deploy` puts the model's own here


def main(source, target):
    if not target.endswith((".npy", ".pgm", ".ppm")):
        sys.exit(f"{target}: has to end with .ppm, .pgm or .npy")
    raw = not target.endswith(".npy")
    facts = {**MODEL, "images_type": "uint8", "images_layout": "nhwc"} if raw else MODEL
    images = read_image(source, facts)
    if raw:
        Image.fromarray(images[0].squeeze(-1) if images.shape[-1] == 1 else images[0]).save(target)
    else:
        np.save(target, images.astype(MODEL.get("images_type", "float32")))


if __name__ == "__main__":
    len(sys.argv) == 3 or sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(str(error))
