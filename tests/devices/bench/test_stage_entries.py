from types import SimpleNamespace

import pytest
from support.example_report import example_report

from edge_convnext.devices.bench.stage_entries import board_stages


def stages(engines=(), left_out=(), kinds=("typed20",), seconds=2.0, folder=None):
    graphs = [SimpleNamespace(name=f"gpu/{at}.onnx", kind=kind) for at, kind in enumerate(kinds)]
    unpacked = SimpleNamespace(report=example_report(), manifest=SimpleNamespace(graphs=graphs))
    made = board_stages(unpacked, engines, left_out, seconds, 3.0, folder)
    return {stage.name: stage for stage in made}


def engine(folder, reused):
    path = folder / "model.int8.engine"
    path.write_bytes(b"plan")
    graph = SimpleNamespace(form="mixed", placement="blocks")
    return SimpleNamespace(
        graph=graph, precision="int8", runtime="tensorrt", reused=reused, seconds=5.0, path=path
    )


def test_the_chain_keeps_its_order_and_what_the_build_did_is_said():
    found = stages()
    order = [stage.name for stage in example_report().stages]
    assert list(found) == order
    done = next(one for one in example_report().stages if one.status == "done"
                and one.name not in ("engine", "evaluate", "benchmark"))  # fmt: skip
    assert (found[done.name].status, found[done.name].reason) == (
        "not_run", "ran in the build, see its report",
    )  # fmt: skip
    assert (found["benchmark"].status, found["benchmark"].seconds) == ("done", 3.0)
    assert (found["evaluate"].status, found["evaluate"].seconds) == ("done", 2.0)


def test_without_images_nothing_is_evaluated():
    found = stages(seconds=None)["evaluate"]
    assert (found.status, found.reason) == ("not_run", "the bundle has no evaluation images")


@pytest.mark.parametrize(
    ("kinds", "left_out", "reason"),
    [
        (("cpu",), (), "the bundle has no graphs for TensorRT"),
        (("typed20",), (), "the TensorRT here reads none of the bundle's graphs"),
        (("typed20",), (("gpu/0.onnx tensorrt", "no GPU"),), "no GPU"),
        (("typed20",), (("model.onnx openvino", "no GPU"),), "the TensorRT here reads none"),
    ],
)
def test_where_no_engine_was_built_the_reason_is_told(kinds, left_out, reason):
    rows = [SimpleNamespace(artifact=artifact, reason=why) for artifact, why in left_out]
    assert stages(left_out=rows, kinds=kinds)["engine"].reason.startswith(reason)


@pytest.mark.parametrize(("reused", "status"), [([True, True], "cached"), ([True, False], "done")])
def test_engines_that_were_there_are_cached(tmp_path, reused, status):
    found = stages([engine(tmp_path, one) for one in reused], folder=tmp_path)["engine"]
    assert (found.status, found.seconds) == (status, 10.0)
    assert [one.status for one in found.variants] == ["cached" if one else "done" for one in reused]
    assert {one.target for one in found.variants} == {"tensorrt"}
