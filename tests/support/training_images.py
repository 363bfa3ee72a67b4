"""Images to train on, and settings that change little or all of them."""

import torch

from edge_convnext.core.sections import TrainConfig

PLAIN = TrainConfig(
    epochs=3,
    batch=32,
    lr=4e-3,
    warmup_epochs=0.5,
    label_smoothing=0.0,
    ema_decay=0.9,
    hflip=False,
    min_crop_area=1.0,
    color_jitter=0.0,
    bfloat16=False,
)


LIVELY = PLAIN.model_copy(
    update={"hflip": True, "min_crop_area": 0.5, "rotate_deg": 10.0, "color_jitter": 0.2}
)


def pixels(count=4, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)
