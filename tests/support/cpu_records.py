"""Records of /proc/cpuinfo, written below a root as a machine has them."""

from __future__ import annotations

from pathlib import Path


def file_system(root: Path, **files: str) -> Path:
    """Write files below `root`; `proc__cpuinfo` is `proc/cpuinfo`."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def arm(part: str, variant: str = "0x1", implementer: str = "0x41", count: int = 4) -> str:
    """What `count` cores of one kind say of themselves."""
    block = (
        "processor\t: {}\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nBogoMIPS\t: 62.50\n"
        f"Features\t: fp asimd asimddp\nCPU implementer\t: {implementer}\nCPU architecture: 8\n"
        f"CPU variant\t: {variant}\nCPU part\t: {part}\nCPU revision\t: 1\n\n"
    )
    return "".join(block.format(number) for number in range(count))
