"""transformers' own image processors, of those that need Pillow alone."""

from __future__ import annotations

import importlib

from support.libraries import import_transformers

FOLDERS = {
    "BeitImageProcessor": "beit", "BitImageProcessor": "bit", "CLIPImageProcessor": "clip",
    "ConvNextImageProcessor": "convnext", "DeiTImageProcessor": "deit",
    "EfficientNetImageProcessor": "efficientnet", "LevitImageProcessor": "levit",
    "MobileNetV1ImageProcessor": "mobilenet_v1", "MobileNetV2ImageProcessor": "mobilenet_v2",
    "MobileViTImageProcessor": "mobilevit", "PerceiverImageProcessor": "perceiver",
    "PoolFormerImageProcessor": "poolformer", "PvtImageProcessor": "pvt",
    "SegformerImageProcessor": "segformer", "SiglipImageProcessor": "siglip",
    "TextNetImageProcessor": "textnet", "ViTImageProcessor": "vit",
}  # fmt: skip


def real(name):
    """The class of transformers that needs Pillow alone."""
    import_transformers()
    module = importlib.import_module(
        f"transformers.models.{FOLDERS[name]}.image_processing_pil_{FOLDERS[name]}"
    )
    return getattr(module, f"{name}Pil")
