"""`benchmarks/gpu.py` where there is no GPU: its graphs, its races and its tables."""

import json
import sys
import time

import numpy as np
import onnx
import pytest
from support.paths import ROOT
from support.small_exports import TINY, export, infer, make_images, place_export

from edge_convnext.core.sections import ExportConfig
from edge_convnext.networks.convnext.build import random_state

sys.path.append(str(ROOT / "benchmarks"))
import gpu_graphs
import gpu_tables
from gpu_timing import Contender, Results, race


@pytest.mark.parametrize("form", ["linear", "product_expand"])
def test_a_graph_of_8_becomes_one_of_another_batch(tmp_path, form):
    config = ExportConfig(batch=8)
    model = export(random_state(TINY, 0), form, tmp_path, config=config)
    images = make_images(8)
    for made in (model, place_export(model, [images])):
        placement = "blocks" if made.precision == "int8" else None
        item = gpu_graphs.Item(form, placement)
        gpu_graphs._store(made.path, tmp_path, gpu_graphs.graph_name("tiny", 8, item))
        output = gpu_graphs.finish(tmp_path, "tiny", 16, item, "opset17", tmp_path / "b16.onnx")
        proto = onnx.load(output)
        assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 16
        assert proto.opset_import[0].version == 17
        twice = infer(output, np.concatenate([images, images]))
        expected = infer(made.path, images)
        np.testing.assert_allclose(twice, np.concatenate([expected] * 2), atol=1e-4)


def test_every_job_has_a_graph():
    gpu_engines = pytest.importorskip("gpu_engines")
    for batch in (1, 8, 128):
        items = set(gpu_graphs.list_items(batch))
        jobs = gpu_engines.list_jobs("atto", batch, few=False)
        assert {job.item for job in jobs} <= items
        assert len({job.label for job in jobs}) == len(jobs)
        assert set(gpu_engines.list_jobs("atto", batch, few=True)) < set(jobs)


def contender(name, ms, **facts):
    def run(count):
        if ms is None:
            raise RuntimeError("lost the GPU")
        return [ms] * count

    row = {"model": "atto", "batch": 1, "runtime": "tensorrt 8.6.0", "form": name, **facts}
    return Contender(row, run, lambda: None)


def test_one_that_fails_is_noted_and_the_rest_goes_on():
    rows = race([contender("good", 2.0), contender("bad", None)], 3)
    assert rows[0]["gpu_ms"]["rounds_p50"] == [2.0] * 3
    assert "lost the GPU" in rows[1]["error"]
    assert "gpu_ms" not in rows[1]


def test_steps_that_fail_are_written_and_tables_made_of_the_rest(tmp_path):
    results = Results(tmp_path / "classic.json", time.monotonic() + 60)
    with results.step("build"):
        raise ValueError("no room")
    contenders = [
        contender("raw", 0.4, precision="fp16", kernels=105, activation_bytes=4_000_000),
        contender("mixed", 0.3, precision="int8", placement="blocks"),
        contender("bad", None, precision="int8"),
    ]
    results.add("rows", race(contenders, 8))
    results.add("left_out", ["nano b128: out of time"])
    assert json.loads(results.path.read_text())["steps"][0]["error"].endswith("no room\n")
    text = gpu_tables.write_tables(tmp_path)
    assert "best INT8 (mixed, blocks) has 1.333x" in text
    assert "classic, build: ValueError: no room" in text
    assert "lost the GPU" in text
    assert "nano b128: out of time" in text
    assert (tmp_path / "gpu.md").read_text() == text
