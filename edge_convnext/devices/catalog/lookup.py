"""Find rows of the table: a device by name, a JetPack by Jetson Linux release, a GPU by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from edge_convnext.core.errors import RecipeError
from edge_convnext.devices.catalog.rows import Architecture, Device, Jetpack, load_table

__all__ = ["JetpackMatch", "find_architecture", "find_device", "find_gpu", "find_jetpack"]

_SHOWN = 4  # names of a suggestion
_SHORT = 4  # letters; in a name as short as this, each of them counts
_BRANDS = {"nvidia", "geforce", "tesla"}  # `nvidia-smi` puts them before the name


@dataclass(frozen=True)
class JetpackMatch:
    """A Jetson Linux release in the table; `note` says where the match is not exact."""

    row: Jetpack | None
    version: str | None  # of JetPack, such as "6.2.1"
    note: str | None = None


def find_device(name: str) -> Device:
    """The device of that name, such as `orin-nano-8gb`.

    Raises:
        RecipeError: There is none; the message has similar names.
    """
    names = {device.name: device for device in load_table().devices}
    if name in names:
        return names[name]
    wanted = re.sub(r"[\s_-]+", "-", name.strip()).casefold()
    near = [one for one in names if one == wanted]
    # `nano` and `orin` are parts of names, `rtx-4090-laptop` begins with one.
    near = near or [one for one in names if wanted and f"-{wanted}-" in f"-{one}-"]
    near = near or [one for one in names if wanted.startswith(f"{one}-")][-1:]
    # With so few digits a typing slip is unlikely: an A100 is not an A10.
    near = near or [
        one
        for one in get_close_matches(wanted, names, n=2)
        if re.findall(r"\d+", one)[:1] == re.findall(r"\d+", wanted)[:1] or len(one) > _SHORT
    ]
    meant = " or ".join(repr(one) for one in near[:_SHOWN])
    hint = f"did you mean {meant}? " if near else ""
    raise RecipeError(f"no device {name!r}; {hint}`edge-convnext targets` lists all {len(names)}")


def find_architecture(capability: str) -> Architecture | None:
    """The row of a compute capability, such as "8.7": what it computes fast."""
    rows = {row.compute_capability: row for row in load_table().architectures}
    return rows.get(capability)


def find_gpu(name: str) -> Device | None:
    """A GPU by the name `nvidia-smi` gives it, such as "NVIDIA GeForce RTX 4090"."""
    bare = _without_brands(name)
    gpus = (device for device in load_table().devices if device.family is None)
    return next((gpu for gpu in gpus if _without_brands(gpu.title) == bare), None)


def find_jetpack(release: str) -> JetpackMatch:
    """The JetPack of a Jetson Linux release.

    A release that is not in the table gets the newest older one with its major number, or else
    the first with that number, and a note that says so.

    Args:
        release: Release, such as "36.4.3".
    """
    known = {
        _numbers(listed): (row, listed, version)
        for row in load_table().jetpacks
        for listed, version in row.releases.items()
    }
    wanted = _numbers(release)
    if wanted in known:
        row, _, version = known[wanted]
        return JetpackMatch(row, version)
    same_major = sorted(numbers for numbers in known if numbers[:1] == wanted[:1])
    if not same_major:
        majors = f"{min(known)[0]} to {max(known)[0]}"
        return JetpackMatch(
            None, None, f"Jetson Linux {release} is not in the table, which has {majors}"
        )
    older = [numbers for numbers in same_major if numbers < wanted]
    row, listed, version = known[older[-1] if older else same_major[0]]
    return JetpackMatch(
        row,
        version,
        f"Jetson Linux {release} is not in the table; the nearest is {listed}, JetPack {version}",
    )


def _numbers(release: str) -> tuple[int, ...]:
    """`36.4` and `36.4.0` are one release."""
    numbers = [int(number) for number in re.findall(r"\d+", release)]
    return tuple([*numbers, 0, 0, 0][:3])


def _without_brands(name: str) -> list[str]:
    return [word for word in name.casefold().split() if word not in _BRANDS]
