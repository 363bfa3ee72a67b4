"""Packages as users have them: two builds of one module, folders without a module, no telemetry."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from edge_convnext.core import third_party
from edge_convnext.core.errors import MissingDependencyError
from edge_convnext.core.third_party import (
    hollow_reason,
    import_litert,
    import_litert_schema,
    import_onnxruntime,
    read_version,
)
from edge_convnext.devices.doctor import examine, installed_versions


def install(root, name, number, module=None, code=""):
    """A package's metadata, and its module where it has one."""
    metadata = root / f"{name.replace('-', '_')}-{number}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    if module is not None:
        (root / module).mkdir(exist_ok=True)
        (root / module / "__init__.py").write_text(f'__version__ = "{number}"\n{code}')


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Packages that come before the installed ones; modules that were imported are forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in [*sys.modules]:
        if name.partition(".")[0] == "onnxruntime":
            monkeypatch.delitem(sys.modules, name)
    return tmp_path


def test_the_version_is_of_the_build_that_runs_and_not_of_one_beside_it(site):
    install(site, "onnxruntime", "1.20.1")
    install(site, "onnxruntime-gpu", "1.23.0", "onnxruntime")
    assert read_version("onnxruntime") == installed_versions()["onnxruntime"] == "1.23.0"
    assert import_of(site) == "1.23.0"


def test_a_build_under_another_name_alone_counts(site):
    install(site, "onnxruntime-openvino", "1.22.0", "onnxruntime")
    assert read_version("onnxruntime") == "1.22.0"


def test_a_module_that_keeps_its_version_elsewhere_is_read_there(site):
    install(site, "onnxruntime", "1.20.1", "onnxruntime")
    (site / "onnxruntime" / "__init__.py").write_text("from x import __version__\n")
    (site / "onnxruntime" / "capi").mkdir()
    info = site / "onnxruntime" / "capi" / "build_and_package_info.py"
    info.write_text("package_name = 'onnxruntime-gpu'\n__version__ = '1.24.2'\n")
    assert read_version("onnxruntime") == "1.24.2"


def test_without_a_version_in_the_module_the_metadata_serve(site):
    install(site, "onnxruntime-gpu", "1.23.0", "onnxruntime")
    (site / "onnxruntime" / "__init__.py").write_text("")
    assert read_version("onnxruntime") in ("1.23.0", version("onnxruntime"))
    assert read_version("no-such-package") is None


def import_of(site, module="onnxruntime"):
    """The version that Python itself finds, in a process of its own."""
    line = f"import sys; sys.path.insert(0, {str(site)!r}); import {module}"
    code = f"{line}; print({module}.__version__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.fixture
def hollow(monkeypatch):
    """As where `onnxruntime-gpu` was uninstalled: a folder with what was written into it."""
    real = third_party._spec

    def spec(name):
        if name != "onnxruntime":
            return real(name)
        from importlib.machinery import ModuleSpec

        found = ModuleSpec(name, None)
        found.submodule_search_locations = ["/somewhere/onnxruntime"]
        return found

    monkeypatch.setattr(third_party, "_spec", spec)
    return type(sys)("onnxruntime")


def test_a_module_that_is_only_a_folder_is_told_in_one_line(hollow, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", hollow)
    expected = r"^onnxruntime is not whole: only its folder is left.*pip uninstall onnxruntime "
    with pytest.raises(MissingDependencyError, match=expected):
        import_onnxruntime()
    found = {package.name: package for package in examine().packages}["onnxruntime"]
    assert (found.version, found.damage) == (None, hollow_reason("onnxruntime"))
    works = {(one.kind, one.name): one for one in examine().abilities}
    assert works["command", "predict"].reason == found.damage
    assert "onnxruntime" not in installed_versions()


@pytest.mark.parametrize("how", ["attribute", "name"])
def test_whatever_stage_meets_a_hollow_module_the_error_is_known(hollow, monkeypatch, how):
    monkeypatch.setitem(sys.modules, "onnxruntime", hollow)
    code = "onnxruntime.X" if how == "attribute" else "exec('from onnxruntime import X')"
    with pytest.raises((AttributeError, ImportError)) as caught:
        eval(code, {"onnxruntime": hollow})
    assert third_party.hollow_module(caught.value) == hollow_reason("onnxruntime")
    assert third_party.hollow_module(AttributeError("something else")) is None
    assert third_party.hollow_module(ImportError("no module", name="numpy.core")) is None


def test_a_package_that_is_there_and_fails_says_why(site):
    install(site, "onnxruntime", "1.0", "onnxruntime", "raise ImportError('libcudnn.so.9: none')")
    with pytest.raises(MissingDependencyError, match=r"can't be imported \(libcudnn\.so\.9: none"):
        import_onnxruntime()


def run(code, home, **more):
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "PYTHONPATH": ":".join(sys.path),
        "EDGE_CONVNEXT_CACHE": str(home.parent / "cache"),
        **more,
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=home, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def files(home: Path):
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


IMPORTS = """
import edge_convnext
from edge_convnext.core.third_party import import_onnxruntime, import_openvino
from edge_convnext.stages.quantize_nncf import import_nncf
import_onnxruntime(); import_openvino(); import_nncf()
import nncf.onnx, onnxsim, onnxscript, huggingface_hub, sys
print("openvino_telemetry" in sys.modules)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="HOME")
@pytest.mark.parametrize("first", ["", "import edge_convnext, onnxsim"])
def test_nothing_that_a_build_imports_writes_into_an_empty_home(tmp_path, first):
    for needed in ("nncf", "openvino", "onnxsim"):
        pytest.importorskip(needed, reason="the build extra is not installed")
    home = tmp_path / "home"
    home.mkdir()
    done = run(first + IMPORTS, home)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False\n"
    assert files(home) == []


def test_whoever_wants_to_be_counted_is_asked(monkeypatch):
    from edge_convnext.core.telemetry import no_telemetry

    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    no_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_without_litert_its_imports_say_what_installs_it(monkeypatch):
    for module in ("ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    for load in (import_litert, import_litert_schema):
        with pytest.raises(MissingDependencyError, match=r"pip install 'edge-convnext\[litert\]'"):
            load()
