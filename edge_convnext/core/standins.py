"""Stand-ins for what a pickle names beside tensors: they keep its values and can do nothing.

Training scripts save their arguments, scores and logs with the weights. None of their classes is
imported. For each name that a file asks for, a class is made here that only holds values.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["StandIn", "make_stand_in", "to_plain"]

_MOST_ITEMS = 1 << 16  # of an array of scores or names


class StandIn:
    """An object of a class that is not here."""

    path = ""  # of the class, "omegaconf.dictconfig.DictConfig"
    state: Any
    arguments: tuple[Any, ...]

    def __new__(cls, *arguments: Any, **_named: Any) -> Any:
        """Keep the arguments."""
        made = object.__new__(cls)
        made.arguments, made.state = arguments, None
        return made

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        self.state = state


class _Kind(StandIn):
    """NumPy's `dtype`: the type code and the byte order."""

    def code(self) -> str:
        code = self.arguments[0] if self.arguments else ""
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "|"
        return f"{order if order in ('<', '>') else ''}{code}" if isinstance(code, str) else ""


class _Array(StandIn):
    """NumPy's `ndarray`: version, shape, dtype, order and bytes are its state."""


def _scalar(kind: Any = None, data: Any = None, *_rest: Any) -> Any:
    values = _decode(kind, data, (1,))
    return values[0] if isinstance(values, list) and values else None


def _reconstruct(*_arguments: Any) -> Any:
    return _Array()


def _path(*parts: Any) -> str:
    return "/".join(str(part) for part in parts)


def _mapping(*_arguments: Any) -> OrderedDict[Any, Any]:
    return OrderedDict()


def _list(*arguments: Any) -> list[Any]:
    return list(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else []


def _set(*arguments: Any) -> set[Any]:
    return {one for one in _list(*arguments) if isinstance(one, str | int | float)}


def _decode(kind: Any, data: Any, shape: Any) -> Any:
    """Numbers and texts of an array as lists; None for what is neither."""
    import numpy as np

    if isinstance(data, list):  # of objects
        return data[:_MOST_ITEMS] if len(shape) == 1 else None
    if not isinstance(kind, _Kind) or not isinstance(data, bytes):
        return None
    try:
        dtype = np.dtype(kind.code())
        if dtype.kind not in "biufU" or math.prod(shape) > _MOST_ITEMS:
            return None
        return np.frombuffer(data, dtype).reshape(shape).tolist()
    except (TypeError, ValueError):
        return None


# What each of these names becomes. `torch.load` calls no others.
_KNOWN: dict[str, Any] = {
    "argparse.Namespace": argparse.Namespace,  # only holds values
    "types.SimpleNamespace": argparse.Namespace,
    "numpy.ndarray": _Array,
    "numpy.dtype": _Kind,
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
    "builtins.dict": _mapping,
    **{f"builtins.{name}": _list for name in ("list", "tuple")},
    "builtins.frozenset": _set,
    "collections.defaultdict": _mapping,
    "collections.deque": _list,
}
_PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
# Of Python itself: classes that only hold values, and `getattr`, by which methods are pickled.
_HARMLESS = {
    "builtins": {"int", "float", "str", "bool", "bytes", "slice", "range", "object", "getattr"},
    "collections": {"ChainMap", "UserDict", "UserList"},
    "copyreg": {"_reconstructor"},
    "datetime": {"datetime", "date", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "enum": {"Enum", "IntEnum"},
    "fractions": {"Fraction"},
    "functools": {"partial"},
    "ipaddress": {"IPv4Address"},
    "pathlib": set(_PATHS),
    "pathlib._local": set(_PATHS),
    "random": {"Random"},
    "uuid": {"UUID", "SafeUUID"},
    "zoneinfo": {"ZoneInfo"},
}


def make_stand_in(name: str, base: type | None = None) -> Any | None:
    """Make the stand-in for a name of a pickle; None where a checkpoint has no use for the name.

    Python's own modules are refused except for the classes above: a file that names `os.system`
    or `builtins.eval` was made to do harm. `torch.nn` is refused too. A file with it is a whole
    saved model, and its class decides what the tensors mean.

    Args:
        name: "module.name", as the pickle has it.
        base: `dict` or `list`, where the pickle treats such an object as one.
    """
    if base is not None:
        return _container(name, base)
    if name in _KNOWN:
        return _known(name)
    module, _, last = name.rpartition(".")
    if module in ("pathlib", "pathlib._local") and last in _PATHS:
        return _function(name, _path)
    top = name.partition(".")[0]
    if name.startswith(("torch.nn.", "torch.jit.", "torch.fx.", "torch.hub.")):
        return None
    if top in sys.stdlib_module_names or top == "builtins":
        return _class(name) if last in _HARMLESS.get(module, ()) else None
    return _class(name)


def to_plain(value: Any) -> Any:
    """Turn arrays, parsed arguments and objects of unknown classes into lists and mappings."""
    if isinstance(value, _Array):
        state = value.state
        return _decode(state[2], state[4], state[1]) if _is_array_state(state) else None
    if isinstance(value, argparse.Namespace):
        return vars(value)
    if isinstance(value, StandIn):
        return _content(value)
    return value


def _content(value: StandIn) -> Any:
    """A dataclass has its fields as state; omegaconf has them below `_content`."""
    state = value.state
    if isinstance(state, tuple) and len(state) == 2:  # instance and slots
        state = state[0] or state[1]
    if isinstance(state, Mapping):
        for inner in ("_content", "_val", "_fields", "_data"):
            if inner in state:
                return to_plain(state[inner])
        return state
    last = value.arguments[-1] if value.arguments else None
    if isinstance(last, Mapping) and "data" in last:  # pandas' Index
        return to_plain(last["data"])
    return value.arguments[0] if len(value.arguments) == 1 else None


def _is_array_state(state: Any) -> bool:
    return isinstance(state, tuple) and len(state) == 5 and isinstance(state[1], tuple)


def _known(name: str) -> Any:
    found = _KNOWN[name]
    return found if isinstance(found, type) else _function(name, found)


def _class(name: str) -> Any:
    return type("StandIn", (StandIn,), {"path": name, "__module__": "", "__qualname__": name})


def _function(name: str, call: Callable[..., Any]) -> Any:
    """Make a separate function for each name: two names may not share one entry."""

    def stand_in(*arguments: Any) -> Any:
        return call(*arguments)

    stand_in.__name__ = name
    return stand_in


def _container(name: str, base: type) -> Any:
    class Container:
        path = name

        def __new__(cls, *_arguments: Any) -> Any:
            return OrderedDict() if base is dict else []

    return Container
