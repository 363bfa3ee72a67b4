"""What files say of themselves, settled."""

import json

from edge_convnext.core.artifacts import Preprocess
from support.checkpoints import REFERENCE, save, settle_path

NAMES = ("Zebra", "ant", "bee 10")  # in an order that no sorting gives


TO_INDEX = {name: index for index, name in enumerate(NAMES)}


TO_NAME = dict(enumerate(NAMES))


def settle(tmp_path, inside=None, beside=None, name="w.pth"):
    """Settle a checkpoint with content `inside` it, and files `beside` it: bytes, text or JSON."""
    for file, content in (beside or {}).items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        (tmp_path / file).write_bytes(text.encode() if isinstance(text, str) else text)
    return settle_path(save(tmp_path, {"model": REFERENCE, **(inside or {})}, name))


HALF = [0.5, 0.5, 0.5]


PROCESSOR = {
    "image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 128},
    "crop_pct": 0.875, "resample": 3, "do_resize": True, "do_rescale": True,
    "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": HALF, "image_std": HALF,
}  # fmt: skip


SETTINGS = {"image_size": 96, "mean": HALF, "std": HALF}


HALVES = Preprocess(96, mean=(0.5,) * 3, std=(0.5,) * 3)


PRINTED = """Compose(
    Resize(size=%s, interpolation=%s, max_size=None, antialias=True)%s
    ToTensor()
    Normalize(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])
)"""
