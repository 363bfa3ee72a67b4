"""The common part of both engine builders: log, parse, profile, and explain a failure.

It runs in the child process that builds (`core.isolate`). Here and in the other modules that use
TensorRT, a variable's name shows the type of a TensorRT object. The contract test relies on these
names: `trt` is the module, `builder`, `network`, `settings` (IBuilderConfig), `parser`, `error`
(ParserError), `profile`, `input_tensor` (ITensor), `timings`, `learnt` and `merged`
(ITimingCache), `runtime`, `engine`, `context`, `inspector`, `layer`, `jit` (IRuntimeConfig).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import EngineBuildError

if TYPE_CHECKING:
    from edge_convnext.runtimes.tensorrt.api import Api

__all__ = ["Messages", "listen", "parse_graph", "set_profile"]


class Messages:
    """The messages of TensorRT, and the logger that collects them."""

    def __init__(self) -> None:
        self.logger: Any = None
        self.lines: list[str] = []  # all messages
        self.errors: list[str] = []

    @property
    def last_error(self) -> str:
        """The last error, on one line."""
        return self.errors[-1] if self.errors else "TensorRT does not say why"


def listen(trt: Any, *, errors_only: bool = False) -> Messages:
    """Create a logger that collects messages instead of printing them.

    Args:
        trt: The TensorRT module.
        errors_only: True to collect only errors; a classic build logs a line for every tactic
            that it times.
    """
    messages = Messages()
    severe = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

    class Log(trt.ILogger):  # type: ignore[misc]  # untyped package
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in severe:
                messages.errors.append(" ".join(message.split()))
            if not errors_only:
                messages.lines.append(message)

    messages.logger = Log()
    return messages


def parse_graph(api: Api, network: Any, messages: Messages, onnx: Path) -> None:
    """Read an ONNX file into a network.

    Raises:
        EngineBuildError: The parser refused it; the message has the parser's reason and the node.
    """
    trt = api.module
    parser = trt.OnnxParser(network, messages.logger)
    if not parser.parse_from_file(str(onnx)):
        raise EngineBuildError(_parser_errors(api, parser))


def set_profile(
    builder: Any, settings: Any, input_tensor: Any, opt_batch: int, max_batch: int
) -> dict[str, Any] | None:
    """Give a network of dynamic batch one optimization profile; a static batch returns None."""
    shape = tuple(input_tensor.shape)
    if shape[0] != -1:
        return None
    bounds = {
        "min": (1, *shape[1:]),
        "opt": (min(opt_batch, max_batch), *shape[1:]),
        "max": (max_batch, *shape[1:]),
    }
    profile = builder.create_optimization_profile()
    profile.set_shape(input_tensor.name, bounds["min"], bounds["opt"], bounds["max"])
    settings.add_optimization_profile(profile)
    return {"input": input_tensor.name, **{name: list(bound) for name, bound in bounds.items()}}


def _parser_errors(api: Api, parser: Any) -> str:
    count = parser.num_errors
    if not count:
        return "the graph can't be parsed, and the parser does not say why"
    error = parser.get_error(0)
    where = "file"
    if api.has("named_parser_errors"):
        if error.node_name():
            where = f"node '{error.node_name()}' ({error.node_operator()})"
    elif error.node() >= 0:
        where = f"node {error.node()}"
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"{where} can't be parsed: {' '.join(error.desc().split())}{more}"
