"""Fixtures: image folders made on the spot, and real data where it can be found."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image
from support.exports import open_store

import edge_convnext  # noqa: F401  (it switches telemetry off, before anything imports ONNX Runtime)

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `cli.main` does, before torch

# A shell starts what is in the background with Ctrl-C ignored, which the tests' children would
# inherit, and never see the one they are sent.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine is no failure.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

# Of the extras, and what brings them: a test that meets one that is not there has nothing to say.
_OPTIONAL = {
    *("check_jsonschema", "huggingface_hub", "nncf", "onnxscript", "onnxsim", "openvino", "psutil"),
    *("safetensors", "scipy", "sklearn", "tensorrt_rtx", "torch", "transformers"),
}
_NOT_FOUND = re.compile(r"ModuleNotFoundError: .*?\b(?:named '|import of )(\w+)")
_UNINSTALLED = "is not installed (pip install -e '.[dev]')"

MakeImages = Callable[[Mapping[str, int]], Path]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """A file that imports an extra which is not installed is skipped, and says so."""
    report = yield
    found = _NOT_FOUND.findall(str(report.longrepr)) if report.outcome == "failed" else []
    if found and found[-1] in _OPTIONAL:
        report.outcome = "skipped"
        report.longrepr = (report.nodeid, 0, f"Skipped: {found[-1]} {_UNINSTALLED}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """So is a test that meets one only when it runs, itself or below."""
    report = yield
    name = _missing(call.excinfo.value) if call.excinfo else None
    if name is not None and report.outcome == "failed":
        report.outcome = "skipped"
        report.longrepr = (report.nodeid, 0, f"Skipped: {name} {_UNINSTALLED}")
    return report


def _missing(error: BaseException | None) -> str | None:
    while isinstance(error, ImportError):
        name = (error.name or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and name in _OPTIONAL:
            return name
        error = error.__cause__
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that the cores finish together."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def export_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One store of tiny exports for all workers of this session, gone with its other files."""
    base = tmp_path_factory.getbasetemp()
    open_store((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exports")


@pytest.fixture(scope="session", autouse=True)
def one_process() -> Iterator[None]:
    """Builds make their graphs in this process: in a second one nothing is replaced by a test.

    `build/test_lanes.py` and `whole/test_two_lanes.py` are about the second one.
    """
    try:
        from edge_convnext.build.lanes import SecondLane
    except ImportError:  # an extra is not installed
        yield
        return
    with pytest.MonkeyPatch.context() as context:
        context.setattr(SecondLane, "_has_room", lambda *_: False)
        yield


@pytest.fixture(autouse=True)
def signals_stay_ours() -> Iterator[None]:
    """`cli.main`, called in this process, takes signals over and ends it 2 s after the next one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def make_images(tmp_path: Path) -> MakeImages:
    """Write small PNGs of distinct content: {"train/cat": 2} makes train/cat/{0,1}.png."""
    random = np.random.default_rng(0)

    def make(counts: Mapping[str, int]) -> Path:
        root = tmp_path / "images"
        for name, count in counts.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / name / f"{index}.png")
        return root

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real data: `data/potato_split.csv`, `checkpoints/` and so on.

    `EDGE_CONVNEXT_TEST_DATA` names it; else `shared/` beside the checkout, if there is one.
    """
    stated = os.environ.get("EDGE_CONVNEXT_TEST_DATA")
    folder = Path(stated) if stated else Path(__file__).parents[2] / "shared"
    if stated and not folder.is_dir():
        pytest.fail(f"EDGE_CONVNEXT_TEST_DATA names no folder: {stated}")
    if not (folder / "data" / "potato_split.csv").is_file():
        pytest.skip("no real data: EDGE_CONVNEXT_TEST_DATA is not set and none lies beside")
    return folder
