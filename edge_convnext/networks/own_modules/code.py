"""A function of the user's own that makes a network: found, called, and held to its promises.

It is the user's code, and runs with the user's rights. So it runs only where this very command
names it: `consent`. Names in recipes, reports, graphs, bundles and caches run nothing.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import LoadError, RecipeError, reason_of, shorten
from edge_convnext.core.image_size import ImageSize, as_size
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.own_modules.sources import digest_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["PREFIX", "CodeMaker", "consent", "consented", "read_target", "require_consent"]

PREFIX = "module:"
_SIZE_KEYWORDS = ("image_size", "img_size")
_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
# Names that the command line of this process states. It is no setting of a recipe on purpose: what
# is in no file can be taken over from none.
_CONSENTED: set[str] = set()


def read_target(name: str) -> str:
    """`package.file:function` of a model's name.

    Raises:
        RecipeError: It is not written so.
    """
    target = name.strip().removeprefix(PREFIX)
    file, _, function = target.rpartition(":")
    if _TARGET.fullmatch(target) and not file.endswith(".py"):
        return target
    hint = ""
    if file.endswith(".py"):
        hint = f"; did you mean '{PREFIX}{Path(file).with_suffix('').as_posix().replace('/', '.')}"
        hint += f":{function}', from the folder where that can be imported?"
    raise RecipeError(
        f"'{shorten(name, 120)}': a network of your own is named {PREFIX}package.file:function, as "
        f"Python imports it{hint}"
    )


def consent(name: str) -> None:
    """Let the code behind a name run: the command line of this process names it."""
    _CONSENTED.add(read_target(name))


def consented() -> frozenset[str]:
    """What may run in this process."""
    return frozenset(_CONSENTED)


def require_consent(target: str) -> None:
    """Refuse code that this command does not name.

    Raises:
        RecipeError: The name comes from a file.
    """
    if target not in _CONSENTED:
        raise RecipeError(
            f"{PREFIX}{target} is code, and code is run only where the command itself names it, "
            f"not where a recipe, a report or a checkpoint does: pass --model {PREFIX}{target}"
        )


@dataclass(frozen=True)
class CodeMaker:
    """One function: `made.maker.Maker`."""

    target: str  # `package.file:function`
    size: ImageSize = 224  # pixels of the images that the network takes: see `trying`

    @property
    def label(self) -> str:
        """For messages."""
        return f"network of {self.target}"

    @property
    def image_size(self) -> ImageSize:
        """That of the images that the network takes as its function makes it."""
        return self.size

    @property
    def stated_size(self) -> ImageSize | None:
        """The default of the function's keyword for the size of the images, if it has one."""
        parameters = _parameters(self._function())
        stated = (parameters[name].default for name in _SIZE_KEYWORDS if name in parameters)
        return next((size for one in stated if (size := as_size(one)) is not None), None)

    def make(
        self,
        num_classes: int,
        in_channels: int,
        image_size: ImageSize | None = None,
        drop_path: float = 0.0,
    ) -> nn.Module:
        """See `Maker.make`; the function gets those of the keywords that it has."""
        from torch import nn

        function = self._function()
        stated = {
            "num_classes": num_classes, "in_channels": in_channels, "in_chans": in_channels,
            "drop_path": drop_path, "drop_path_rate": drop_path,
            **dict.fromkeys(_SIZE_KEYWORDS, image_size),
        }  # fmt: skip
        taken = _keywords(function)
        given = {key: value for key, value in stated.items() if key in taken and value is not None}
        if not drop_path:
            given = {key: value for key, value in given.items() if not key.startswith("drop_path")}
        with _told(self.target):
            network = function(**given)
        if not isinstance(network, nn.Module):
            raise LoadError(
                f"{PREFIX}{self.target} returned {_article(network)}, not a torch.nn.Module; "
                "return the network"
            )
        return network

    def resize(self, network: nn.Module, image_size: ImageSize) -> None:
        """Nothing: a network that takes one size says so when it is run."""

    def fingerprint(self) -> str:
        """SHA-256 of the sources: see `sources`."""
        self._function()
        return f"code of {self.target} sha256 {digest_sources(self.target.partition(':')[0])}"

    def _function(self) -> Callable[..., Any]:
        """Import the module and find the function in it."""
        require_consent(self.target)
        module_name, _, path = self.target.partition(":")
        module = _import(module_name, self.target)
        found: Any = module
        for step in path.split("."):
            if not hasattr(found, step):
                own = [n for n, one in vars(module).items() if callable(one) and n[0] != "_"]
                there = ", ".join(own[:8]) or "no functions"
                raise LoadError(
                    f"{PREFIX}{self.target}: {module_name} has no '{shorten(path, 80)}'; in it: "
                    f"{shorten(there, 300)}"
                )
            found = getattr(found, step)
        if not callable(found):
            raise LoadError(
                f"{PREFIX}{self.target} is {_article(found)}, and can't be called; name a function "
                "that returns the network"
            )
        called: Callable[..., Any] = found
        return called


def _import(name: str, target: str) -> ModuleType:
    """Import from where the command runs, as `python -c` would."""
    here = str(Path.cwd())
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        importlib.invalidate_caches()
        with _told(target, name):
            return importlib.import_module(name)
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


@contextmanager
def _told(target: str, importing: str = "") -> Iterator[None]:
    """Turn an error of the user's code into one line with its file and line.

    Raises:
        LoadError: What went wrong, and where in the code.
    """
    try:
        yield
    except (LoadError, RecipeError, NotSoError):
        raise
    except ModuleNotFoundError as error:
        if importing and error.name and (importing + ".").startswith(f"{error.name}."):
            raise LoadError(
                f"{PREFIX}{target}: there is no module '{error.name}' to import; run the command "
                "in the folder that holds it, or set PYTHONPATH to that folder"
            ) from error
        raise LoadError(_tell(error, target, importing)) from error
    except Exception as error:
        raise LoadError(_tell(error, target, importing)) from error
    except SystemExit as error:
        raise LoadError(
            f"{PREFIX}{target}: its code ended the program (exit {error.code}); leave that to a "
            "block behind `if __name__ == '__main__'`"
        ) from error


def _tell(error: Exception, target: str, importing: str) -> str:
    what = "can't be imported" if importing else "failed"
    return f"{PREFIX}{target} {what}: {type(error).__name__}: {reason_of(error)}{_place(error)}"


def _place(error: Exception) -> str:
    """The last line of the user's code in a traceback."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and not frame.filename.startswith("<")
        and Path(frame.filename) != Path(__file__) and "importlib" not in frame.filename
    ]  # fmt: skip
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _keywords(function: Callable[..., Any]) -> set[str]:
    """Keywords that a function can be called with."""
    parameters = _parameters(function).values()
    named = {one.name for one in parameters if one.kind in
             (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)}  # fmt: skip
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        named |= {"num_classes"}
    return named


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _article(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}" if value is not None else "None"
