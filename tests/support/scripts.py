"""Scripts of `benchmarks/`, loaded as modules."""

from __future__ import annotations

import importlib.util
import sys

from support.paths import ROOT

FOLDER = ROOT / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
