import json
import re
from dataclasses import replace

import pytest
from support.kernel_lines import FUSED, INT8, line
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.networks.parts import PLAIN, parts_by_role
from edge_convnext.report.manifest import write_manifest
from edge_convnext.runtimes.tensorrt import kernel_table
from edge_convnext.runtimes.tensorrt.builder_log import parse_kernels
from edge_convnext.runtimes.tensorrt.kernel_table import (
    group_kernels,
    kernel_fields,
    part_of_kernel,
    parts_of,
    read_kernels,
    read_parts,
)
from edge_convnext.runtimes.tensorrt.rtx_builder import sidecar_path

(GELU,) = parse_kernels(FUSED)
HEAD = parse_kernels(line("head", "gemm", [INT8], [INT8], [INT8]))[0]
HEAD = replace(HEAD, nodes=("head.fc/MatMul", "head.fc/Add"))
KERNELS = (GELU, replace(GELU, nodes=("stages.0.blocks.1.pwconv1/MatMul",)), HEAD)


@pytest.fixture
def engine(tmp_path):
    path = tmp_path / "model.int8.rtx.engine"
    path.write_bytes(b"plan")
    table = [kernel_fields(kernel, PARTS) for kernel in KERNELS]
    model = {"model": "convnextv2_atto"}
    facts = {"engine_sha256": sha256_file(path), "kernel_table": table, "model": model}
    sidecar_path(path).write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize(
    ("metadata", "parts"),
    [
        ({"model": "convnextv1_tiny"}, PARTS),
        ({"model": "resnet50"}, PLAIN),
        ({"model": ["convnextv1_tiny"]}, PLAIN),
        ({}, PLAIN),
        (None, PLAIN),
    ],
)
def test_the_model_of_the_graph_tells_the_parts(metadata, parts):
    assert parts_of(metadata) == parts


def test_a_kernel_counts_for_the_part_of_its_product():
    assert [part_of_kernel(kernel, PARTS) for kernel in KERNELS] == ["pwconv1", "pwconv1", "head"]


def test_kernels_are_added_up_by_part():
    pwconv1, head = group_kernels(KERNELS, PARTS)
    assert (pwconv1.part, pwconv1.kernels, pwconv1.int8_kernels) == ("pwconv1", 2, 0)
    assert pwconv1.activation_bytes == 2 * GELU.activation_bytes
    assert pwconv1.weight_bytes == 2 * GELU.weight_bytes
    assert pwconv1.kinds == (("runtime_fusion Half -> Half", 2),)
    assert (head.part, head.int8_kernels) == ("head", 1)


def test_kernels_come_back_from_the_file_beside_the_engine_as_they_were(engine):
    assert read_kernels(sidecar_path(engine)) == KERNELS


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"kernel_table": [{"name": "x"}]}', "\0"])
def test_a_damaged_file_is_one_line(engine, text):
    sidecar_path(engine).write_text(text)
    with pytest.raises(ArtifactError, match=r"rtx\.engine\.json: damaged, .*build the engine"):
        read_kernels(sidecar_path(engine))


def test_an_engine_without_its_file_is_one_line(engine):
    sidecar_path(engine).unlink()
    with pytest.raises(ArtifactError, match="keep the two together"):
        read_kernels(sidecar_path(engine))


@pytest.mark.parametrize("flags", [[], ["--kernels"]])
def test_inspect_shows_parts_and_kernels(engine, flags):
    shown = CliRunner().invoke(app, ["inspect", str(engine), *flags], env={"COLUMNS": "300"})
    assert shown.exit_code == 0, shown.output
    assert "pwconv1" in shown.output
    assert "head" in shown.output
    assert ("Half[3136,40]" in shown.output) is bool(flags)


def test_inspect_shows_what_a_file_says_and_does_not_obey_it(engine):
    facts = json.loads(sidecar_path(engine).read_text())
    row = facts["kernel_table"][0]
    row["kind"] = "\x1b[2Jgemm[red]"
    row["nodes"][0] += "\x1b]0;x\x07"
    sidecar_path(engine).write_text(json.dumps(facts))
    for flags in ([], ["--kernels"]):
        shown = CliRunner().invoke(
            app, ["inspect", str(engine), *flags], env={"COLUMNS": "300"}, color=True
        )
        assert shown.exit_code == 0, shown.output
        assert " [2Jgemm[red]" in shown.stdout
        assert not set("\x1b\x07") & set(shown.stdout)


def test_inspect_takes_the_engine_that_its_file_describes_and_nothing_else(engine, tmp_path):
    def refused(path, match):
        answer = CliRunner().invoke(app, ["inspect", str(path)])
        assert isinstance(answer.exception, ArtifactError)
        assert re.search(match, str(answer.exception)), answer.exception
        assert not answer.stdout

    for path in (tmp_path, tmp_path / "int8.b1.onnx", tmp_path / "recipe.yaml"):
        refused(path, "inspect takes an engine")
    engine.write_bytes(b"another plan")
    refused(engine, r"is not the engine that model\.int8\.rtx\.engine\.json describes")
    refused(sidecar_path(engine), "copied over")
    engine.unlink()
    refused(engine, "no such engine")
    assert CliRunner().invoke(app, ["inspect", str(sidecar_path(engine))]).exit_code == 0


def test_inspect_knows_an_engine_of_another_build_by_the_manifest(engine, tmp_path):
    write_manifest(tmp_path, [engine, sidecar_path(engine)])
    engine.write_bytes(b"another plan")
    facts = json.loads(sidecar_path(engine).read_text())
    facts["engine_sha256"] = sha256_file(engine)
    sidecar_path(engine).write_text(json.dumps(facts))
    answer = CliRunner().invoke(app, ["inspect", str(engine)])
    assert "is not the file that the build's manifest.json states" in str(answer.exception)


def test_inspect_prints_json_for_machines(engine):
    shown = CliRunner().invoke(app, ["inspect", str(sidecar_path(engine)), "--json"])
    found = json.loads(shown.stdout)
    assert [group["part"] for group in found["groups"]] == ["pwconv1", "head"]
    assert [kernel["part"] for kernel in found["kernels"]] == ["pwconv1", "pwconv1", "head"]
    assert found["kernels"][2]["multiplies_int8"] is True


def test_roles_come_back_from_what_the_builder_wrote(engine, monkeypatch):
    roles = {"stem/Conv": ("depthwise", 1), "head.fc/MatMul": ("last", None)}
    parts = parts_by_role(roles)
    rows = [kernel_fields(replace(HEAD, nodes=(node,)), parts) for node in roles]
    rows.append({**rows[0], "part": "stage 0 depthwise"})  # of nobody
    rows.append({**rows[0], "nodes": ["x"], "part": ["not a text"]})
    path = sidecar_path(engine)
    path.write_text(json.dumps({"kernel_table": rows, "model": {"model": "any"}}))
    monkeypatch.setattr(kernel_table, "parts_of", lambda _metadata: replace(PLAIN, by_role=True))
    found = read_parts(path)
    assert found.names == parts.names
    assert {node: found.of_node(node) for node in roles} == {
        "stem/Conv": "stage 2 depthwise", "head.fc/MatMul": "last",
    }  # fmt: skip
    assert found.of_node("x") is None
