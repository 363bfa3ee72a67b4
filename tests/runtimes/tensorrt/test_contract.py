"""What the code asks of TensorRT, held against what each version has."""

import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.tensorrt_contract import (
    CLASSIC,
    RTX,
    TABLE,
    VERSIONS,
    find_accesses,
    has,
    list_faults,
    list_strangers,
)

import edge_convnext
from edge_convnext.runtimes.tensorrt.api import FEATURES

PACKAGE = Path(edge_convnext.__file__).parent
RUNTIMES = PACKAGE / "runtimes"
# Which versions run which file.
FILES = {
    "tensorrt/rtx_builder.py": RTX,
    "tensorrt/builder.py": CLASSIC,
    "tensorrt/timing_cache.py": CLASSIC,
    "tensorrt/native.py": VERSIONS,
    "tensorrt/loading.py": VERSIONS,
    "tensorrt/runner.py": VERSIONS,
}


def read(file):
    return (RUNTIMES / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES)
def test_every_version_has_what_the_code_asks_of_it(file):
    accesses = find_accesses(read(file))
    assert len(accesses) >= 5
    assert list_faults(read(file), FILES[file]) == []
    assert list_strangers(read(file)) == []


def test_no_other_file_imports_a_tensorrt():
    touching = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if find_accesses(f"{path.read_text(encoding='utf-8')}\n")
        and ("trt = " in path.read_text(encoding="utf-8") or "trt: Any" in path.read_text())
    }
    assert touching <= {f"runtimes/{file}" for file in FILES}


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_is_in_the_versions_that_it_claims(name):
    feature = FEATURES[name]
    kind, _, attribute = feature.probe.partition(".")
    assert tuple(one for one in VERSIONS if has(kind, attribute, one)) == feature.versions


@pytest.mark.parametrize(
    ("planted", "missing"),
    [
        ("settings.max_workspace_size = 1", "10.3, 10.13, 10.16, 11.0, 11.4, rtx1.7"),
        ("settings.set_flag(trt.BuilderFlag.INT8)", "11.0, 11.4, rtx1.7"),
        ("context.execute_async_v2([], 0)", "10.3, 10.13, 10.16, 11.0, 11.4, rtx1.7"),
        ("error.node_name()", "8.6"),
        ("trt.BuilderFlag.SPEED", ", ".join(VERSIONS)),
        ("settings.set_compute_capability(1, 0)", "8.6, 10.3, 10.13, 10.16, 11.0, 11.4"),
        ("self._engine.device_memory_size", "11.0, 11.4, rtx1.7"),
        ("if api.has('precision_flags'):\n    trt.BuilderFlag.BF16", "8.6"),
        ("if api.has('typed_flag'):\n    pass\nelse:\n    error.node_name()", "8.6"),
        ("api.has('typed_flag') or error.node_name()", "8.6"),
        ("if api.has('typed_flag') or wanted:\n    error.node_name()", "8.6"),
        ("runtime = trt.Runtime(log)\nruntime.get_engine_validity(b'')", ", ".join(CLASSIC)),
    ],
)
def test_a_call_that_one_version_lacks_is_found(planted, missing):
    (fault,) = list_faults(planted, VERSIONS)
    assert fault.endswith(f"is missing in {missing}")


@pytest.mark.parametrize(
    "planted",
    [
        "settings.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1)",
        "if api.has('named_parser_errors'):\n    error.node_name()",
        "if wanted and self._api.has('precision_flags'):\n    trt.BuilderFlag.INT8",
        "api.has('capture_check') and context.is_stream_capturable(0)",
        "trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH if api.has('explicit_batch_flag') else 0",
    ],
)
def test_a_call_that_is_asked_for_beforehand_is_fine(planted):
    assert find_accesses(planted)
    assert list_faults(planted, VERSIONS) == []


def test_values_that_the_check_would_pass_over_are_found():
    assert list_strangers("def f(thing: Any) -> None: ...") == ["thing"]
    assert list_strangers("made = builder.create_network(0)") == ["made"]
    assert list_strangers("made = trt.Runtime(log)") == ["made"]
    assert list_strangers("network = builder.create_network(0)") == []


@pytest.mark.skipif(not find_spec("tensorrt_rtx"), reason="needs tensorrt-rtx")
def test_the_installed_bindings_have_what_the_table_says():
    trt = importlib.import_module("tensorrt_rtx")
    if not str(trt.__version__).startswith("1.7."):
        pytest.skip(f"the table is of TensorRT for RTX 1.7, and this is {trt.__version__}")
    for kind, groups in TABLE["api"].items():
        owner = trt
        for part in () if kind == "module" else kind.split("."):
            owner = getattr(owner, part, None)
        for mask, names in groups.items():
            for name in names.split():
                assert hasattr(owner, name) == (mask[-1] == "Y"), f"{kind}.{name}"


@pytest.mark.skipif(not find_spec("tensorrt_rtx"), reason="needs tensorrt-rtx")
@pytest.mark.parametrize("file", [file for file in FILES if "rtx1.7" in FILES[file]])
def test_the_installed_bindings_have_what_the_code_asks_for(file):
    trt = importlib.import_module("tensorrt_rtx")
    for one in find_accesses(read(file)):
        if one.runs_in("rtx1.7"):
            owner = trt
            for part in () if one.kind == "module" else one.kind.split("."):
                owner = getattr(owner, part)
            assert hasattr(owner, one.attribute), f"{one.kind}.{one.attribute}, line {one.line}"
