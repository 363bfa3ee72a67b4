import json

import pytest
from support.kernel_lines import FUSED

from edge_convnext.core.files import sha256_file
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.runtimes.tensorrt.builder_log import parse_kernels
from edge_convnext.runtimes.tensorrt.kernel_table import kernel_fields
from edge_convnext.runtimes.tensorrt.sidecar import sidecar_path

KERNELS = parse_kernels(FUSED)


@pytest.fixture
def engine(tmp_path):
    path = tmp_path / "model.int8.rtx.engine"
    path.write_bytes(b"plan")
    table = [kernel_fields(kernel, PARTS) for kernel in KERNELS]
    model = {"model": "convnextv2_atto"}
    facts = {"engine_sha256": sha256_file(path), "kernel_table": table, "model": model}
    sidecar_path(path).write_text(json.dumps(facts))
    return path


def test_an_engine_or_the_file_beside_it_tells_the_same(call, engine):
    code, out, err = call("inspect", engine, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert [group["part"] for group in document["groups"]] == ["pwconv1"]
    assert len(document["kernels"]) == len(KERNELS)
    assert call("inspect", sidecar_path(engine), "--json")[1] == out


def test_an_engine_that_was_changed_is_refused_and_a_sidecar_alone_serves(call, engine):
    engine.write_bytes(b"other")
    for path in (engine, sidecar_path(engine)):
        code, _, err = call("inspect", path)
        assert (code, err.count("\n")) == (3, 1)
    engine.unlink()
    assert call("inspect", sidecar_path(engine), "--json")[0] == 0


@pytest.mark.parametrize("name", ["model.onnx", "report.json"])
def test_what_is_no_engine_is_told_what_is(call, name):
    code, _, err = call("inspect", name)
    assert code == 3
    assert f"{name}: inspect takes an engine (*.engine)" in err
