"""What plays a board: a builder of engines, readings, power modes. No torch is imported."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

from edge_convnext.core.errors import BoardError, EngineBuildError
from edge_convnext.devices.bench.readings import NoReadings, PowerFigures
from edge_convnext.devices.jetson.power_modes import PowerMode

GRAPHS = ("fp32.onnx", "a.int8.onnx", "b.int8.onnx", "c.int8.onnx")


class Builder:
    """A builder that copies the graph, and fails where it is told to."""

    device = "Orin 8.7 driver 540.3"
    flags = ()

    def __init__(self, version="10.3.0", runtime="tensorrt", fails=None):
        self.version, self.runtime, self.fails, self.built = version, runtime, fails, []

    def build(self, graph, source, output, precision, timing_cache):
        if precision == self.fails:
            raise EngineBuildError("no kernel")
        self.built.append((graph.name, precision, timing_cache.name))
        output.write_bytes(source.read_bytes())
        output.with_name(f"{output.name}.json").write_text("{}")


class Meter:
    """Reads 5 W at work."""

    def start(self):
        pass

    def stop(self):
        return PowerFigures(5.0, 2.0, 10, "VDD_IN", "a test")

    def close(self):
        pass


class JetsonReadings(NoReadings):
    """Readings of a board that reports power."""

    reason = None

    def __init__(self):
        super().__init__(None)

    def state(self):
        return {"power_mode": "MAXN", "clocks_locked": False}

    def differences(self):
        return ("clocks were not locked",)

    def meter(self):
        return Meter()


@dataclass
class Modes:
    """Two power modes, and a third that needs a restart."""

    now: int = 0
    held: list[int] = field(default_factory=list)
    known = (PowerMode(0, "MAXN"), PowerMode(1, "15W"), PowerMode(2, "7W"))

    def find(self, asked):
        return tuple(mode for mode in self.known if {str(mode.number), mode.name} & set(asked))

    def current(self):
        return self.known[self.now]

    @contextmanager
    def hold(self, mode):
        if mode.number == 2:
            raise BoardError("it needs a restart")
        before, self.now = self.now, mode.number
        self.held.append(mode.number)
        try:
            yield
        finally:
            self.now = before
