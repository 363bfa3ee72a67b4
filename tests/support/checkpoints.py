"""A tiny ConvNeXt with known logits, for checkpoints in any dialect and wrapping."""

import re
import zipfile

import torch

from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.convnext.build import build_form, random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.facts.whole import settle_checkpoint

SMALL = Architecture("small", 2, (1, 2, 1, 1), (4, 6, 8, 10), 3)
SMALL_V1 = Architecture("small", 1, (1, 2, 1, 1), (4, 6, 8, 10), 3)
STATE = random_state(SMALL, 0)
STATE_V1 = random_state(SMALL_V1, 0)


def to_reference(state):
    """Names of facebookresearch, written from ours by other rules than the product's."""
    out = {}
    for name, value in state.items():
        new = re.sub(r"^stem\.conv", "downsample_layers.0.0", name)
        new = re.sub(r"^stem\.norm", "downsample_layers.0.1", new)
        new = re.sub(r"^stages\.(\d)\.downsample\.norm", r"downsample_layers.\1.0", new)
        new = re.sub(r"^stages\.(\d)\.downsample\.conv", r"downsample_layers.\1.1", new)
        new = new.replace(".blocks.", ".").replace(".layer_scale.gamma", ".gamma")
        new = re.sub(r"^head\.norm", "norm", new)
        out[re.sub(r"^head\.fc", "head", new)] = value
    return out


REFERENCE = to_reference(STATE)
BACKBONE = {name: value for name, value in REFERENCE.items() if not name.startswith("head.")}
HEAD = {name[5:]: value for name, value in REFERENCE.items() if name.startswith("head.")}


def logits_of(state, architecture=SMALL):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return build_form(state, architecture, "raw")(images)


def save(tmp_path, content, name="w.pth"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def reads_the_same(path, architecture=SMALL, state=STATE):
    """Whether a checkpoint has the tiny network's logits; returns what was read."""
    found = read_checkpoint(path)
    assert torch.allclose(logits_of(found.state, architecture), logits_of(state, architecture))
    return found


def settle_path(path):
    return settle_checkpoint(read_checkpoint(path), None)


def origins(settled):
    return {fact.name: str(fact.origin) for fact in settled.facts}


def flip_in_part(path, part, place):
    """Flip all bits of one byte in a part of a file of torch.save, such as `data/0`."""
    with zipfile.ZipFile(path) as archive:
        entry = next(one for one in archive.infolist() if one.filename.endswith(f"/{part}"))
    content = bytearray(path.read_bytes())
    lengths = content[entry.header_offset + 26 : entry.header_offset + 30]
    start = 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    content[entry.header_offset + start + place] ^= 0xFF
    path.write_bytes(content)
