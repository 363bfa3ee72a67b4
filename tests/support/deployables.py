"""What is deployed in the tests: graphs, engines and a build of no sense."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.deploy.write import write_deployment
from edge_convnext.report.manifest import write_manifest
from support.example_report import example_report
from support.trt_stand_ins import CLASSES

NAMES = ("pixels", "scores")  # not those that builds have: nothing may assume any


LABELS = ("cat", 'a "dog"', "häher", "what??/", "5")


def write_graph(path, batch="batch", kind=TensorProto.FLOAT, names=NAMES, labels=LABELS, **facts):
    """A graph of no sense with a build's metadata, [batch, 3, 4, 4] to [batch, 5]."""
    source, result = names
    weight = onnx.numpy_helper.from_array(np.zeros((48, CLASSES), np.float32), "weight")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", [source], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["float"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], [result]),
        ],
        "tiny",
        [helper.make_tensor_value_info(source, kind, [batch, 3, 4, 4])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, [batch, CLASSES])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    info = ModelInfo(
        "convnextv2_atto", CLASSES, 3, labels, Preprocess(image_size=4), "random", "0" * 64, None
    )
    helper.set_model_props(model, info.to_metadata(precision="int8", form="linear", **facts))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def write_engine(path, graph, runtime="tensorrt", **fields):
    path.write_bytes(b"plan")
    carried = {entry.key: entry.value for entry in onnx.load(graph).metadata_props}
    facts = {
        "runtime": runtime,
        "onnx_sha256": sha256_file(graph),
        "engine_sha256": sha256_file(path),
        "profile": {"input": "pixels", "max": [4, 3, 4, 4]},
        "flags": {},
        "model": json.loads(next(iter(carried.values()))),
        **fields,
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(facts))
    return path


def ship(folder, precision):
    """The verdict of a build."""
    report = example_report()
    verdict = report.verdict.model_copy(update={"ship": precision})
    report.model_copy(update={"verdict": verdict}).write(folder / "report.json")
    write_manifest(folder, sorted(path for path in folder.iterdir() if path.is_file()))


def triton(build, out, **options):
    write_deployment(build, "triton", out, **options)
    return (out / "convnextv2_atto" / "config.pbtxt").read_text()
