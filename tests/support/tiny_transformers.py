"""Folders of tiny classifiers, as transformers' own classes write them."""

from __future__ import annotations

import contextlib
import io
import json

import torch

# By class: the configuration, all of images of 64 pixels.
CONFIGS = {
    "ConvNextV2ForImageClassification": {
        "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "image_size": 64,
    },
    "MobileViTForImageClassification": {
        "hidden_sizes": [32, 40, 48], "neck_hidden_sizes": [8, 16, 24, 32, 40, 48, 160],
    },
    "ViTForImageClassification": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64,
    },
    "SwinForImageClassification": {
        "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4,
    },
    "EfficientNetForImageClassification": {
        "width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320,
    },
    "ResNetForImageClassification": {
        "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1],
    },
    "RegNetForImageClassification": {
        "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "groups_width": 8,
    },
    "DeiTForImageClassificationWithTeacher": {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64,
    },
}  # fmt: skip
LABELS = {0: "ant", 1: "bee", 2: "cat", 3: "dog", 4: "emu"}


def make_tiny(transformers, name, **fields):
    """One tiny network, its norms and biases off their start."""
    kind = getattr(transformers, name)
    sized = {"image_size": 64} if hasattr(kind.config_class(), "image_size") else {}
    config = kind.config_class(**{**sized, **CONFIGS[name], **fields})
    config.architectures = [name]
    config.id2label, config.label2id = LABELS, {word: at for at, word in LABELS.items()}
    torch.manual_seed(0)
    network = kind(config).eval()
    with torch.no_grad():
        for one in network.parameters():
            one.add_(0.1 * torch.randn(one.shape))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network


def write_tiny(transformers, name, folder, processor=None, **fields):
    """Write a folder as save_pretrained does; the network is returned."""
    network = make_tiny(transformers, name, **fields)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress
        network.save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return network
