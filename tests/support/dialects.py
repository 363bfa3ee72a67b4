"""The state-dict dialects, spoken: the same network under others' names."""

from __future__ import annotations

# One block's parts, in the order of TIMM and HF below.
OURS = ("dwconv", "norm", "pwconv1", "grn.gamma", "grn.beta", "pwconv2", "layer_scale.gamma")


TIMM = ("conv_dw", "norm", "mlp.fc1", "mlp.grn.weight", "mlp.grn.bias", "mlp.fc2", "gamma")


HF = (
    "dwconv",
    "layernorm",
    "pwconv1",
    "grn.weight",
    "grn.bias",
    "pwconv2",
    "layer_scale_parameter",
)


def their_name(ours, dialect, version):
    """Name one of our tensors as `dialect` does, written out name by name."""
    if dialect == "ours":
        return ours
    match ours.split("."):
        case ["stem", part, leaf]:
            index = ("conv", "norm").index(part)
            parts = ("patch_embeddings", "layernorm")
            return {
                "reference": f"downsample_layers.0.{index}.{leaf}",
                "timm": f"stem.{index}.{leaf}",
                "transformers": f"{hf_prefix(version)}embeddings.{parts[index]}.{leaf}",
            }[dialect]
        case ["stages", stage, "downsample", part, leaf]:
            index = ("norm", "conv").index(part)
            hf = f"{hf_prefix(version)}encoder.stages.{stage}.downsampling_layer"
            return {
                "reference": f"downsample_layers.{stage}.{index}.{leaf}",
                "timm": f"stages.{stage}.downsample.{index}.{leaf}",
                "transformers": f"{hf}.{index}.{leaf}",
            }[dialect]
        case ["stages", stage, "blocks", block, *rest]:
            part, leaf = (rest[0], rest[1])
            whole = part in ("grn", "layer_scale")
            index = OURS.index(f"{part}.{leaf}" if whole else part)
            end = "" if whole else f".{leaf}"
            reference = "gamma" if part == "layer_scale" else OURS[index]
            hf = f"{hf_prefix(version)}encoder.stages.{stage}.layers.{block}"
            return {
                "reference": f"stages.{stage}.{block}.{reference}{end}",
                "timm": f"stages.{stage}.blocks.{block}.{TIMM[index]}{end}",
                "transformers": f"{hf}.{HF[index]}{end}",
            }[dialect]
        case ["head", "norm", leaf]:
            return {
                "reference": f"norm.{leaf}",
                "timm": f"head.norm.{leaf}",
                "transformers": f"{hf_prefix(version)}layernorm.{leaf}",
            }[dialect]
        case ["head", "fc", leaf]:
            return {
                "reference": f"head.{leaf}",
                "timm": f"head.fc.{leaf}",
                "transformers": f"classifier.{leaf}",
            }[dialect]
    raise AssertionError(ours)


def hf_prefix(version):
    return "convnextv2." if version == 2 else "convnext."


def speak(state, dialect, version, conv_mlp=False):
    """Write our state dict in another dialect."""
    theirs = {}
    for ours, tensor in state.items():
        shaped = tensor
        if "grn." in ours and dialect in ("reference", "transformers"):
            shaped = tensor.reshape(1, 1, 1, -1)
        elif "pwconv" in ours and tensor.dim() == 2 and conv_mlp:
            shaped = tensor[:, :, None, None]
        theirs[their_name(ours, dialect, version)] = shaped
    return theirs
