"""Every way in, from a file to the verdict, by the command that users type.

    python -m benchmarks.entrances --work FOLDER

Transformers' classes come as folders that `save_pretrained` wrote, own ONNX as torch's exporters
write it (the one by TorchScript up to opset 17, today's above) in every dress: opset 11 to 20,
fixed and dynamic, channels first and last, with and without a Softmax. Weights are random: what
is looked at is the exit code, the verdict, the distance of the float from the source, and whether
each runtime kept an INT8 graph. Each built model then answers `eval` and `predict`. timm and
transformers have to be importable.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.devices.doctor import environment

if TYPE_CHECKING:
    from torch import Tensor, nn

_ROOT = Path(__file__).parents[1]
sys.path.append(str(_ROOT / "tests"))

_CLASSES = 5
_SIZE = 64  # pixels
_NEWEST_OF_TORCHSCRIPT = 17
_LIMIT_S = 900
_FLOAT_STAGES = ("load", "export", "simplify", "equalize")
_TRANSFORMERS = ("ConvNextV2", "MobileViT", "ViT", "Swin", "EfficientNet")


@dataclass(frozen=True)
class Dress:
    """How an ONNX file looks from outside."""

    model: str  # timm's name
    opset: int
    dynamic: bool = False  # batch, height and width
    nhwc: bool = False
    softmax: bool = False
    size: tuple[int, int] = (_SIZE, _SIZE)  # height and width in pixels

    @property
    def name(self) -> str:
        """Unique, and the name of its folder."""
        words = [self.model, f"opset{self.opset}", "dynamic" if self.dynamic else "fixed",
                 "nhwc" if self.nhwc else "nchw", *(["softmax"] if self.softmax else []),
                 "x".join(map(str, self.size))]  # fmt: skip
        return "-".join(words)


_DRESSES = (
    Dress("mobilenetv3_small_050", 11),
    Dress("mobilenetv2_035", 12, dynamic=True),
    Dress("resnet10t", 13, nhwc=True, softmax=True),
    Dress("test_vit2", 14, softmax=True),
    Dress("mobilenetv3_small_050", 15, dynamic=True, nhwc=True),
    Dress("test_efficientnet", 16, dynamic=True, softmax=True, size=(64, 96)),
    Dress("mobilenetv2_035", 17, nhwc=True, size=(64, 96)),
    Dress("resnet10t", 18),
    Dress("test_convnext2", 19, softmax=True),
    Dress("mobilenetv3_small_050", 20, dynamic=True, nhwc=True, softmax=True),
    Dress("test_efficientnet", 20, size=(96, 64)),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.entrances", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--work", type=Path, required=True, help="folder of everything made")
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results")
    parser.add_argument("--only", help="names that hold this word")
    arguments = parser.parse_args()
    images = _write_images(arguments.work / "images")
    results = arguments.work / "results"
    results.mkdir(parents=True, exist_ok=True)
    for name, write in _entrances():
        if arguments.only is None or arguments.only in name:
            found = {"entrance": name, **try_entrance(arguments.work / name, write, images)}
            text = json.dumps(found).replace(f"{arguments.work}/", "")
            print(text, flush=True)
            (results / f"{name}.json").write_text(text, "utf-8")
            _collect(results, arguments.out)


def _collect(results: Path, folder: Path) -> None:
    """All that was tried in this work folder, in today's file."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(results.glob("*.json"))]
    date = datetime.now(timezone.utc).date().isoformat()
    content = {"date": date, "environment": environment(), "entrances": found}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{date}-entrances.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _entrances() -> list[tuple[str, Any]]:
    """Name of each, and what writes its files and tells the arguments of a build."""
    hf = [(f"transformers-{kind}", lambda folder, kind=kind: _write_transformers(kind, folder))
          for kind in _TRANSFORMERS]  # fmt: skip
    own = [(f"own-{dress.name}", lambda folder, dress=dress: _write_onnx(dress, folder))
           for dress in _DRESSES]  # fmt: skip
    return [*hf, *own]


def try_entrance(folder: Path, write: Any, images: Path) -> dict[str, Any]:
    """Build it, then `eval` and `predict` with what was built: the facts a table needs."""
    folder.mkdir(parents=True, exist_ok=True)
    given, facts = write(folder)
    out = folder / "out"
    # A race of 20 rounds would decide of speed; here only that one is made.
    build = _call("build", *given, "--precision", "int8", "--quiet", "--data", str(images),
                  "--calibration-size", "32", "--rounds", "6", "--batch", "1", "--out", str(out),
                  cache=folder / "cache")  # fmt: skip
    result = {**facts, "command": " ".join(("edge-convnext build", *given)), "build": build["rc"]}
    report_file = out / "report.json"
    if not report_file.is_file():
        return {**result, "last_line": build["last"]}
    report = json.loads(report_file.read_text("utf-8"))
    rows = (report["benchmark"] or {"rows": []})["rows"]
    result["ship"] = report["verdict"]["ship"]
    result["int8_in"] = sorted({one["runtime"] for one in rows if one["precision"] == "int8"})
    result["refused"] = [one["artifact"] for one in report["refused"]]
    result["float_parity"] = _find_parity(report)
    shipped = sorted(out.glob("model.*.onnx"))
    result["files"] = [path.name for path in shipped]
    image = str(next(images.rglob("*.png")))
    result["eval"] = [_call("eval", str(path), "--data", str(images))["rc"] for path in shipped]
    result["predict"] = [_call("predict", str(path), image)["rc"] for path in shipped]
    return result


def _find_parity(report: dict[str, Any]) -> dict[str, Any]:
    """Of each stage that was compared with the stage before, its worst float graph."""
    worst: dict[str, Any] = {}
    for stage in report["stages"]:
        for one in [stage, *stage.get("variants", ())]:
            parity = one.get("parity")
            if parity is not None and stage["name"] in _FLOAT_STAGES:
                before = worst.get(stage["name"], parity)
                worst[stage["name"]] = max(before, parity, key=lambda each: each["max_abs_err"])
    return worst


def _call(command: str, *arguments: str, cache: Path | None = None) -> dict[str, Any]:
    tool = Path(sys.executable).with_name("edge-convnext")
    done = subprocess.run(
        [str(tool), command, *arguments], capture_output=True, text=True, errors="replace",
        timeout=_LIMIT_S, check=False,
        env=os.environ if cache is None else {**os.environ, "EDGE_CONVNEXT_CACHE": str(cache)},
    )  # fmt: skip
    lines = (done.stdout + done.stderr).strip().splitlines()
    return {"rc": done.returncode, "last": lines[-1] if lines else ""}


def _write_images(folder: Path) -> Path:
    """Images of coarse noise, sixteen of each class; class names as the folders' labels."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    from support.tiny_transformers import LABELS

    for label in LABELS.values():
        place = folder / label
        place.mkdir(parents=True, exist_ok=True)
        for number in range(16):
            coarse = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((112, 112), Image.Resampling.BICUBIC).save(
                place / f"{number}.png"
            )
    return folder


def _write_transformers(kind: str, folder: Path) -> tuple[list[str], dict[str, Any]]:
    import transformers
    from support.tiny_transformers import write_tiny

    processor = {
        "do_resize": True, "size": {"height": _SIZE, "width": _SIZE}, "resample": 3,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": "ViTImageProcessor",
    }  # fmt: skip
    name = f"{kind}ForImageClassification"
    write_tiny(transformers, name, folder / "model", processor)
    return ["--weights", f"hf:{folder / 'model'}"], {"class": name}


def _write_onnx(dress: Dress, folder: Path) -> tuple[list[str], dict[str, Any]]:
    import torch

    path = folder / "model.onnx"
    network = _Dressed(dress).module
    height, width = dress.size
    images = torch.randn((1, height, width, 3) if dress.nhwc else (1, 3, height, width))
    axes = {0: "n", 1: "h", 2: "w"} if dress.nhwc else {0: "n", 2: "h", 3: "w"}
    old = dress.opset <= _NEWEST_OF_TORCHSCRIPT
    dynamic: dict[str, Any] = {}
    if dress.dynamic and old:
        dynamic = {"dynamic_axes": {"images": axes}}
    elif dress.dynamic:
        dynamic = {"dynamic_shapes": (dict.fromkeys(axes, torch.export.Dim.DYNAMIC),)}
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(network, (images,), str(path), opset_version=dress.opset, dynamo=not old,
                          input_names=["images"], output_names=["scores"], external_data=False,
                          **dynamic)  # fmt: skip
    given = ["--weights", str(path)]
    if dress.dynamic:
        given += ["--image-size", ",".join(map(str, dress.size))]
    return given, asdict(dress)


class _Dressed:
    """A network of timm, drawn as a build draws it, with what the file has around it."""

    def __init__(self, dress: Dress) -> None:
        import torch

        from edge_convnext.networks.family import family_of, find_model
        from edge_convnext.networks.made.filling import fill

        shape = find_model(f"timm:{dress.model}", _CLASSES)
        inner = fill(shape, family_of(shape).draw(shape, 0), dress.size)

        class Network(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, images: Tensor) -> Tensor:
                if dress.nhwc:
                    images = images.permute(0, 3, 1, 2)
                scores: Tensor = self.inner(images)
                return scores.softmax(-1) if dress.softmax else scores

        self.module: nn.Module = Network().eval()


if __name__ == "__main__":
    main()
