"""Builds for the CPUs of boards, of a network that exports in a second."""

import numpy as np
import onnx
import pytest
from support.builds import quick_fields, write_checkpoint, write_images
from support.built import check_report, files_of, statuses
from support.small_exports import infer, make_images

import edge_convnext
from edge_convnext.core.cache import Cache
from edge_convnext.devices.bench import BoardSettings, bench_bundle
from edge_convnext.devices.bundle.write import write_bundle
from edge_convnext.networks.convnext import sizes as architecture
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.runtimes.lint import lint

CLASSES = ("ant", "bee", "cat")
ARM = "cpu/int8.arm.onnx"
PRODUCTS = 11  # two in each of four blocks, and three between stages


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build for a target; later builds find the stages of earlier ones in the cache."""
    root = tmp_path_factory.mktemp("arm")
    counts = {f"{side}/{name}": 4 for side in ("train", "val") for name in CLASSES}
    write_images(root / "images", counts)

    def run(name, *targets, **more):
        fields = {**quick_fields(root, "convnextv2_atto"), "targets": list(targets), **more}
        report = edge_convnext.build(make_recipe(fields), root / name, cache=Cache(root / "cache"))
        check_report(report, root / name)
        return report, root / name

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(architecture.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
        write_checkpoint(root / "weights.pth", len(CLASSES))
        yield run


@pytest.fixture(scope="module")
def here(build):
    return build("here", "cpu")


@pytest.fixture(scope="module")
def arm(build, here):
    return build("arm", "arm-cpu")


def operations(path):
    return {node.op_type for node in onnx.load(path).graph.node}


def test_a_build_for_this_cpu_has_the_graph_for_arm_which_computes_what_was_fused(here):
    report, folder = here
    assert ARM in files_of(report)
    assert "QuantizeLinear" in operations(folder / ARM)
    fused = next(
        path for path in sorted(folder.rglob("*int8*.onnx")) if path != folder / ARM
        and "MatMulIntegerToFloat" in operations(path)
    )  # fmt: skip
    images = make_images(4, 32)
    expected, found = infer(fused, images), infer(folder / ARM, images)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert [one.rule for one in lint(folder / ARM, "openvino-aarch64")] == []


def test_a_build_for_arm_times_nothing_and_says_what_it_compared(arm, here):
    report, folder = arm
    assert files_of(report) >= {"model.fp32.onnx", "model.int8.onnx", "cpu/fp32.openvino.onnx"}
    assert not any("gpu" in name or ".ort" in name for name in files_of(report))
    assert (folder / "model.int8.onnx").read_bytes() == (here[1] / ARM).read_bytes()
    assert statuses(report)["quantize"] == "cached"  # the graph of the first build
    assert report.benchmark is None
    assert report.stage("benchmark").reason == (
        "arm-cpu is timed on the board, by `edge-convnext bench` of a bundle"
    )
    assert report.verdict.ship == "undecided"
    assert report.accuracy.candidates[0].artifact == "model.int8.onnx onnxruntime f32"
    (note,) = [one for one in report.notes if one.startswith("For Arm CPUs nothing was timed")]
    assert "model.int8.onnx " in note
    assert "cpu/fp32.openvino.onnx " in note
    assert "On the evaluation images: drop" in note
    (counted,) = report.int8_products
    assert counted.planned_int8_products == counted.found_int8_products == PRODUCTS


@pytest.mark.parametrize("name", ["here", "arm"])
def test_its_bundle_is_raced_where_it_is_unpacked(name, request, tmp_path):
    _, folder = request.getfixturevalue(name)
    told = []
    manifest = write_bundle(folder, tmp_path / "a.ecb", say=told.append)
    names = [graph.name for graph in manifest.graphs]
    assert (ARM if name == "here" else "cpu/fp32.openvino.onnx") in names
    assert told[0].startswith(f"a.ecb will have {len(names)} graphs of ")
    own = None if name == "here" else ("onnxruntime",)
    settings = BoardSettings(own, batches=(1,), threads=1, rounds=1)
    report = bench_bundle(tmp_path / "a.ecb", tmp_path / "board", settings)
    timed = {row.file for row in report.benchmark.rows}
    assert timed >= set(names) - {"cpu/int8.onnxruntime.onnx"}
    left = {one.artifact: one.reason for one in report.board.left_out}
    fused = [one for one in left if one.endswith(" openvino")]
    assert all("fused for ONNX Runtime" in left[one] for one in fused)
    assert bool(fused) == (name == "here")
