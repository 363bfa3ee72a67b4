"""Commands of boards that are played: a Jetson, and one with too little memory.

`python -c 'from support.jetson_board import main; main()'` is `edge-convnext` on the Jetson:
ONNX Runtime runs what a builder copied.
"""

import os
import resource
import signal

import numpy as np

from edge_convnext import cli
from edge_convnext.core.errors import InferenceError
from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.devices import doctor
from edge_convnext.devices.doctor import Ability
from edge_convnext.devices.tuning import entrants, search
from edge_convnext.measure import candidates
from edge_convnext.measure.memory import PeakMemory
from edge_convnext.runtimes.load import load_runtime
from support.played_boards import GRAPHS, Builder, JetsonReadings, Modes

__all__ = ["COMMAND", "FATAL", "LARGE", "SMALL", "main", "main_small"]

COMMAND = "-c 'from support.jetson_board import main; main()'"  # after the path of Python
SMALL = "-c 'from support.jetson_board import main_small; main_small()'"
LARGE, FATAL = GRAPHS[2], GRAPHS[3]


def _load(name, path, options=None):
    return load_runtime("onnxruntime" if name == "tensorrt" else name, path, options)


def main():
    """Run a command of `edge-convnext` with the stand-ins in place."""
    doctor._classic_tensorrt = lambda: Ability("target", "tensorrt", works=True)
    search.find_builders = lambda workspace_mib: ((Builder(),), None)
    search.find_readings = JetsonReadings
    search.JetsonModes = Modes
    candidates.load_runtime = _load
    cli.main()


def grow():
    """Ask for more memory than there may be; the function of a child."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return len(np.empty(1 << 32, np.uint8))


def _measure(runtime, path, images, options):
    if path.name == FATAL:
        os.kill(os.getpid(), signal.SIGKILL)  # as the system does with the largest process
    if path.name == LARGE:
        found = run_isolated(grow, (), 600.0)
        assert isinstance(found, IsolatedFailure)
        raise InferenceError(f"{path.name}: {found.reason}")
    return PeakMemory(1, 2)


def main_small():
    """Run a command on a board with little memory."""
    entrants.measure_peak_memory = _measure
    cli.main()
