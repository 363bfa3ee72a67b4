"""Fuzz the parsers that are ours: whatever comes in, one line comes out or a value.

    python -m benchmarks.fuzz --inputs 20000 --report REPORT.json OUT.json

Hypothesis mutates valid inputs: bytes, text and structure. A crash is any exception but
`EdgeConvNextError`, a message of more than one line or 2,000 characters, a file outside the
scratch folder, or more than `_SLOW_S` for one input.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import onnx
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from PIL import Image
from safetensors.torch import save as save_safetensors

from benchmarks import fuzz_boards, fuzz_graphs
from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo, Preprocess
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.recipe import recipe_folder
from edge_convnext.data.csv_sources import list_csv
from edge_convnext.data.labels import read_labels_file
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.dialects import translate
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.recipe_file import load_recipe
from edge_convnext.report.contract import Report
from edge_convnext.report.gate.baseline import read_baseline
from edge_convnext.report.manifest import verify_build
from edge_convnext.runtimes.metadata import read_metadata
from edge_convnext.runtimes.tensorrt.kernel_table import group_kernels, read_kernels, read_parts

_SLOW_S = 20.0
_MESSAGE_CHARS = 2000

_SMALL = Architecture("small", 2, (1, 1, 1, 1), (4, 6, 8, 10), 3)
_STATE = random_state(_SMALL, 0)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["auto", "int8", "random", "../x", "/etc/passwd", "demo", "", "\x00", "9" * 50]
    )
)
_NAMES = st.text(max_size=8)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


_INFO = ModelInfo("convnextv2_atto", 3, 3, ("a", "b", "c"), Preprocess(4), "w", "0" * 64, None)
_TENSOR = {"name": "t", "shape": [1, 4], "dtype": "Half"}
_KERNEL = {
    "name": "k", "kind": "gemm", "inputs": [_TENSOR], "constants": [_TENSOR],
    "outputs": [_TENSOR], "nodes": ["stages.0.blocks.0.pwconv1/MatMul"],
}  # fmt: skip
_SIDECAR = {"schema": "edge-convnext/engine/2", "kernel_table": [_KERNEL, _KERNEL]}
_X = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # SHA-256 of "x"
_MANIFEST = {
    "schema": "edge-convnext/manifest/1",
    "files": {"a": {"sha256": _X, "bytes": 1}, "b": {"sha256": _X, "bytes": 1}},
}


@dataclass
class Tally:
    """What one parser did with its inputs."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    seconds: float = 0.0  # of the parser; making the inputs takes its time too
    crashes: Counter[str] = field(default_factory=Counter)


@st.composite
def mutated_bytes(draw: Any, seeds: tuple[bytes, ...]) -> bytes:
    """A valid file with bytes changed, cut, doubled or put in."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["change", "cut", "insert", "double", "end"]))
        if kind == "change" and at < len(content):
            content[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at : at + draw(st.integers(1, 64))]
        elif kind == "insert":
            content[at:at] = draw(st.binary(max_size=12) | st.sampled_from(_PHRASES))
        elif kind == "double":
            content[at:at] = content[at : at + draw(st.integers(1, 200))]
        elif kind == "end" and draw(st.booleans()):
            del content[at:]
    return bytes(content)


_PHRASES = (
    *(b"../", b"\x00", b"\xff\xfe", b"\r", b"\n", b'"', b",", b"&a ", b"*a", b"/etc/passwd"),
    *(b"[" * 2000, b"{" * 2000, b"9" * 5000, b"1e999", b"NaN", b"-1", b"null"),
    b"!!python/name:os.system ",
)


@st.composite
def mutated_tree(draw: Any, seed: Mapping[str, Any]) -> Any:
    """A valid document with values replaced, taken out or put in, at any depth."""
    tree = json.loads(json.dumps(seed, default=str))
    for _ in range(draw(st.integers(0, 4))):
        place: Any = tree
        for _ in range(draw(st.integers(0, 5))):
            children = list(place) if isinstance(place, dict) else range(len(place))
            inner = [key for key in children if isinstance(place[key], (dict, list)) and place[key]]
            if not inner:
                break
            place = place[draw(st.sampled_from(inner))]
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        kind = draw(st.sampled_from(["replace", "remove", "add"]))
        if kind == "add" and isinstance(place, dict):
            place[draw(st.text(max_size=12))] = draw(_VALUES)
        elif keys and kind == "remove":
            del place[draw(st.sampled_from(keys))]
        elif keys:
            place[draw(st.sampled_from(keys))] = draw(_VALUES)
    return tree


_SHAPES = st.lists(st.sampled_from([0, 1, 3, 4, 6, 16]), max_size=4)
_FILLS = st.sampled_from([0.0, 1.0, float("nan"), float("inf")])
_FLOATS = st.sampled_from([torch.float32, torch.float16, torch.float64, torch.bfloat16])
_TENSORS = st.builds(torch.full, _SHAPES, _FILLS, dtype=_FLOATS) | st.builds(
    torch.zeros, st.just((3, 4)), dtype=st.sampled_from([torch.int64, torch.bool])
)
_WRAPPERS = ("model", "state_dict", "ema", "module", "x")


@st.composite
def mutated_state(draw: Any) -> object:
    """A state dict with names and tensors changed, and wrapped in other dictionaries."""
    state: dict[Any, Any] = dict(_STATE)
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(sorted(map(str, state)) or ["x"]))
        kind = draw(st.sampled_from(["tensor", "remove", "rename", "value", "add"]))
        value = state.get(name)
        if kind == "remove" or kind == "rename":
            state.pop(name, None)
        if kind == "rename":
            digits = draw(st.sampled_from(["99999", "-1", "9" * 30, "٣", "00", ""]))
            state[name.replace("0", digits, 1)] = value
        elif kind == "tensor":
            state[name] = draw(_TENSORS)
        elif kind == "value":
            state[name] = draw(_VALUES)
        elif kind == "add":
            state[draw(st.text(max_size=20) | st.integers() | st.none())] = draw(_TENSORS)
    content: object = state
    for key in draw(
        st.lists(st.sampled_from(["model", "state_dict", "ema", "module", "x"]), max_size=3)
    ):
        content = {key: content, "epoch": 3}
    prefix = draw(st.sampled_from(["", "module.", "_orig_mod.", "a.b.c."]))
    if prefix and content is state:
        content = {f"{prefix}{name}": value for name, value in state.items()}
    return content


def _torch_file(content: object) -> bytes:
    file = BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _lying_headers() -> tuple[bytes, ...]:
    def header(fields: object, size: int | None = None) -> bytes:
        text = json.dumps(fields).encode()
        return struct.pack("<Q", len(text) if size is None else size) + text + b"\0" * 64

    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    return (
        header({"a": entry}),
        header({"a": {**entry, "data_offsets": [0, 1 << 60]}}),
        header({"a": {**entry, "shape": [1 << 40, 1 << 40]}}),
        header({"a": {**entry, "data_offsets": [16, 0]}}),
        header({"a": entry, "b": {**entry, "data_offsets": [8, 24]}}),
        header({"a": entry}, size=(1 << 64) - 1),
        header({"__metadata__": {"edge_convnext": "[" * 5000}, "a": entry}),
    )


def _zip_tricks() -> tuple[bytes, ...]:
    files = []
    for name in ("../../evil", "/evil", "archive/data.pkl"):
        file = BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, b"\0" * (1 << 20))
            archive.writestr("archive/version", "3\n")
        files.append(file.getvalue())
    return tuple(files)


def _graph() -> bytes:
    """Images to three logits, in two operations."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    weight = helper.make_tensor("weight", floats, [48, 3], bytes(4 * 48 * 3), raw=True)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", floats, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", floats, ["batch", 3])],
        [weight],
    )
    opset = helper.make_opsetid("", 20)
    content: bytes = helper.make_model(graph, opset_imports=[opset]).SerializeToString()
    return content


def _described(graph: bytes, stated: Mapping[str, Any]) -> bytes:
    proto = onnx.ModelProto.FromString(graph)
    proto.metadata_props.add(key=METADATA_KEY, value=json.dumps(stated))
    content: bytes = proto.SerializeToString()
    return content


def _file_parser(suffix: str, read: Callable[[Path], object]) -> Callable[[Path, Any], object]:
    def parse(folder: Path, content: Any) -> object:
        path = folder / f"input{suffix}"
        path.write_bytes(content)
        return read(path)

    return parse


def _csv_seeds(folder: Path, images: bool) -> tuple[bytes, ...]:
    for name in ("a", "b", "c d") if images else ():
        Image.new("RGB", (4, 4)).save(folder / f"{name}.png")
    return (
        b"path,label\na.png,x\nb.png,y\n",
        b"path,label,split,group\na.png,x,train,1\nb.png,y,val,2\nc d.png,y,test,3\n",
        b'\xef\xbb\xbfpath,label\n"a.png","x,y"\n../b.png,0\n',
        b"path,sha256\na.png," + b"0" * 64 + b"\n",
    )


def make_targets(
    folder: Path, example_report: Mapping[str, Any], images: bool = True
) -> dict[str, tuple[SearchStrategy[Any], Callable[[Any], object]]]:
    """Each parser with the inputs it gets; `images`: write those that the CSVs name."""

    def in_folder(parse: Callable[[Path, Any], object]) -> Callable[[Any], object]:
        return lambda content: parse(folder, content)

    recipes = tuple(path.read_bytes() for path in sorted(recipe_folder().glob("*.yaml")))
    trees = [yaml.safe_load(text) for text in recipes]
    recipe = _file_parser(".yaml", lambda path: load_recipe(str(path)))
    report = _file_parser(".json", Report.read)
    baseline = _file_parser(".json", read_baseline)
    checkpoint = {end: _file_parser(end, read_checkpoint) for end in (".pth", ".safetensors")}
    pth = (_torch_file(_STATE), _torch_file({"model": _STATE, "epoch": 1}), *_zip_tricks())
    tensors = (save_safetensors(_STATE), *_lying_headers())
    graph = _graph()
    own_graphs = fuzz_graphs.make_seeds()
    own_parser = _file_parser(".onnx", fuzz_graphs.read_own_graph)
    graph_parser = _file_parser(".onnx", read_metadata)
    stated = {**asdict(_INFO), "precision": "fp32", "form": "raw", "placement": None}
    as_json = json.dumps(example_report, default=str).encode()
    example_baseline = {
        "schema": "edge-convnext/baseline/1", "model": "m", "precision": "int8",
        "fingerprint": "f", "versions": {"a": "1"}, "top1_pct": 90.0, "size_bytes": 3,
        "speedup_vs_raw_fp32": 2.0, "speedup_vs_raw_fp32_ci95": [1.9, 2.1],
        "predictions": {"0" * 20: "x"},
    }  # fmt: skip

    folder_of_build = folder / "build"
    folder_of_build.mkdir(exist_ok=True)
    for name in ("a", "b"):
        (folder_of_build / name).write_bytes(b"x")

    def manifest(folder: Path, content: Any) -> object:
        (folder / "build" / "manifest.json").write_bytes(content)
        return verify_build(folder / "build")

    def kernels(path: Path) -> object:
        return group_kernels(read_kernels(path), read_parts(path))

    def metadata(folder: Path, content: Any) -> object:
        proto = onnx.ModelProto.FromString(graph)
        proto.metadata_props.add(key=METADATA_KEY, value=content.decode("utf-8", "replace"))
        (folder / "input.onnx").write_bytes(proto.SerializeToString())
        return read_metadata(folder / "input.onnx")

    def dump(tree: object) -> bytes:
        return json.dumps(tree, default=str).encode()

    facts = {**fuzz_boards.FACTS, "model": stated}
    members = fuzz_boards.make_members(_described(graph, stated), example_report)
    model = {**example_report["model"], "num_classes": 3, "classes": ["a", "b", "c"]}
    bundled = fuzz_boards.make_bundle_manifest(members, model)

    def bundle_of(manifest: object) -> bytes:
        return fuzz_boards.make_bundle(dump(manifest), members)

    def bundle_with(changed: tuple[str, bytes]) -> bytes:
        """A file of it is another, and the manifest is right about it."""
        name, content = changed
        other = {**members, name: content}
        manifest = fuzz_boards.make_bundle_manifest(other, model)
        return fuzz_boards.make_bundle(dump(manifest), other)

    @st.composite
    def changed_member(draw: Any) -> tuple[str, bytes]:
        name = draw(st.sampled_from(sorted(members)))
        return name, draw(mutated_bytes((members[name],)))

    def dump_yaml(tree: object) -> bytes:
        return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace")

    return {
        "recipe, bytes": (mutated_bytes(recipes), in_folder(recipe)),
        "recipe, structure": (
            st.sampled_from(trees).flatmap(mutated_tree).map(dump_yaml), in_folder(recipe),
        ),
        "CSV": (
            mutated_bytes(_csv_seeds(folder, images)),
            in_folder(_file_parser(".csv", lambda path: list_csv(path))),
        ),
        "CSV without labels": (
            mutated_bytes(_csv_seeds(folder, images)),
            in_folder(_file_parser(".csv", lambda path: list_csv(path, labelled=False))),
        ),
        "state dict": (mutated_state(), lambda content: translate(content, "input")),
        ".pth": (mutated_bytes(pth), in_folder(checkpoint[".pth"])),
        ".safetensors": (mutated_bytes(tensors), in_folder(checkpoint[".safetensors"])),
        "report, bytes": (mutated_bytes((as_json,)), in_folder(report)),
        "report, structure": (mutated_tree(example_report).map(dump), in_folder(report)),
        "baseline, bytes": (mutated_bytes((dump(example_baseline),)), in_folder(baseline)),
        "baseline, structure": (mutated_tree(example_baseline).map(dump), in_folder(baseline)),
        "engine facts, bytes": (
            mutated_bytes((dump(facts),)), in_folder(fuzz_boards.read_engine),
        ),
        "engine facts, structure": (
            mutated_tree(facts).map(dump), in_folder(fuzz_boards.read_engine),
        ),
        "deployed engine, bytes": (
            mutated_bytes((dump(facts),)), in_folder(fuzz_boards.read_deployed),
        ),
        "deployed engine, structure": (
            mutated_tree(facts).map(dump), in_folder(fuzz_boards.read_deployed),
        ),
        "bundle, bytes": (
            mutated_bytes((bundle_of(bundled),)), in_folder(fuzz_boards.read_bundle),
        ),
        "bundle, manifest": (
            mutated_tree(bundled).map(bundle_of), in_folder(fuzz_boards.read_bundle),
        ),
        "bundle, members": (
            changed_member().map(bundle_with), in_folder(fuzz_boards.read_bundle),
        ),
        "engine sidecar, bytes": (
            mutated_bytes((dump(_SIDECAR),)), in_folder(_file_parser(".json", kernels)),
        ),
        "engine sidecar, structure": (
            mutated_tree(_SIDECAR).map(dump), in_folder(_file_parser(".json", kernels)),
        ),
        "manifest, bytes": (mutated_bytes((dump(_MANIFEST),)), in_folder(manifest)),
        "manifest, structure": (mutated_tree(_MANIFEST).map(dump), in_folder(manifest)),
        "ONNX metadata, bytes": (mutated_bytes((dump(stated),)), in_folder(metadata)),
        "ONNX metadata, structure": (mutated_tree(stated).map(dump), in_folder(metadata)),
        "own ONNX, bytes": (mutated_bytes(own_graphs), in_folder(own_parser)),
        "own ONNX, structure": (fuzz_graphs.mutated_graph(own_graphs), in_folder(own_parser)),
        "ONNX file": (mutated_bytes((_described(graph, stated),)), in_folder(graph_parser)),
        "labels": (
            mutated_bytes((b'["a", "b"]', b"a\nb\n")),
            in_folder(_file_parser("", read_labels_file)),
        ),
    }  # fmt: skip


def fuzz(strategy: SearchStrategy[Any], parse: Callable[[Any], object], inputs: int) -> Tally:
    """Give a parser so many inputs."""
    tally = Tally()

    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(content: Any) -> None:
        tally.inputs += 1
        started = time.process_time()  # of this process: others may be busy
        try:
            parse(content)
            tally.accepted += 1
        except EdgeConvNextError as error:
            tally.refused += 1
            text = str(error.args[0])  # `str(error)` would cut it to one line of bounded length
            if not text or "\n" in text or "\r" in text:
                tally.crashes[f"message of more than one line: {text[:80]!r}"] += 1
            if len(text) > _MESSAGE_CHARS:
                tally.crashes[f"message of {len(text)} characters: {text[:80]}"] += 1
        except Exception as error:  # what is looked for
            tally.crashes[_describe(error)] += 1
        seconds = time.process_time() - started
        tally.slowest_s = max(tally.slowest_s, seconds)
        tally.seconds += seconds
        if seconds > _SLOW_S:
            tally.crashes["slow"] += 1

    run()
    return tally


def _describe(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:80]
    return f"{type(error).__name__} in {Path(last.filename).name}:{last.name}: {text}"


def main() -> None:
    """Fuzz every parser and write a dated result."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000, help="Per parser.")
    parser.add_argument("--report", type=Path, required=True, help="A report.json to start from.")
    parser.add_argument("--only", action="append", help="Repeatable: a parser. Default: all.")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    content: dict[str, Any] = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": environment()["versions"],
        "parsers": {},
        "files_outside": [],
    }
    fuzz_graphs.warm_up()
    with tempfile.TemporaryDirectory() as scratch:
        inside = Path(scratch) / "alone" / "input"  # what is written a level above is seen
        inside.mkdir(parents=True)
        targets = make_targets(inside, json.loads(options.report.read_text()))
        for name, (strategy, parse) in targets.items():
            if options.only and name not in options.only:
                continue
            started = time.perf_counter()
            tally = fuzz(strategy, parse, options.inputs)
            each_ms = 1000 * (time.perf_counter() - started) / max(1, tally.inputs)
            content["parsers"][name] = {
                **vars(tally), "crashes": dict(tally.crashes), "ms_per_input": round(each_ms, 2)
            }  # fmt: skip
            print(f"{name}: {tally.inputs} tried, {tally.refused} refused, {each_ms:.1f} ms each, "
                  f"{dict(tally.crashes)}", flush=True)  # fmt: skip
            around = [*Path(scratch).iterdir(), *inside.parent.iterdir()]
            content["files_outside"] = [
                str(one) for one in around if one not in inside.parents and one != inside
            ]
            if name.startswith("own ONNX"):
                content["children"] = {
                    **vars(fuzz_graphs.CHILDREN), "ended": dict(fuzz_graphs.CHILDREN.ended)
                }  # fmt: skip
            write_text_atomic(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
