"""Commands with groups of options: typer sees every option, the function one value per group.

Typer makes a command from a function's signature. `command` writes that signature: a parameter
that is a group is replaced by its options, which keep its place in `--help`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, Protocol, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

__all__ = ["Group", "command", "flag_of", "in_panel", "option"]


class Group(Protocol):
    """Several options that a function receives as one value."""

    def parameters(self) -> Sequence[inspect.Parameter]:
        """One parameter for each option, as typer reads them."""
        ...

    def gather(self, values: Mapping[str, Any]) -> Any:
        """Make the group's value from the options' values, by parameter name."""
        ...


@dataclass(frozen=True)
class _Panel:
    """A heading of `--help` for all options of a dataclass."""

    title: str


@dataclass(frozen=True)
class _Record:
    """A dataclass whose fields are options."""

    kind: Any
    panel: str | None = None

    def parameters(self) -> Sequence[inspect.Parameter]:
        hints = get_type_hints(self.kind, include_extras=True)
        return [
            option(one.name, self._annotation(hints[one.name]), one.default)
            for one in fields(self.kind)
        ]

    def gather(self, values: Mapping[str, Any]) -> Any:
        return self.kind(**{one.name: values[one.name] for one in fields(self.kind)})

    def _annotation(self, annotation: Any) -> Any:
        if self.panel is None:
            return annotation
        kind, *rest = get_args(annotation)
        shown = copy(_option_info(rest))
        shown.rich_help_panel = self.panel
        return Annotated[kind, shown]


def in_panel(title: str) -> _Panel:
    """Make a heading of `--help` for a group, to be put into its `Annotated` type."""
    return _Panel(title)


def option(name: str, annotation: Any, default: Any = MISSING) -> inspect.Parameter:
    """Make a parameter for typer; without a default the option is required."""
    shown = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=shown, annotation=annotation
    )


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Write the signature that typer reads, with the options of every group of `function`.

    Args:
        function: Command that takes only keywords. A parameter whose type is a dataclass, or is
            annotated with a `Group`, is a group.

    Returns:
        The function for typer: it gathers each group's value and calls `function`.

    Raises:
        ValueError: Two options have one name.
    """
    groups: dict[str, Group] = {}
    shown: list[inspect.Parameter] = []
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        group = _group_of(hints[name])
        if group is None:
            shown.append(parameter.replace(annotation=hints[name]))
        else:
            groups[name] = group
            shown += group.parameters()
    grouped = {one.name for group in groups.values() for one in group.parameters()}

    def run(**values: Any) -> None:
        own = {name: value for name, value in values.items() if name not in grouped}
        function(**own, **{name: group.gather(values) for name, group in groups.items()})

    run.__name__, run.__doc__, run.__module__ = (
        function.__name__, function.__doc__, function.__module__,
    )  # fmt: skip
    run.__annotations__ = {one.name: one.annotation for one in shown}
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return run


def flag_of(record: Any, field: str) -> str:
    """The flag of a field in a dataclass of options, such as `--max-drop`."""
    _, *rest = get_args(get_type_hints(record, include_extras=True)[field])
    stated = _option_info(rest)
    # In `Annotated`, typer's `default` is the first of the names.
    names = (stated.default, *(stated.param_decls or ()))
    flags = [name for name in names if isinstance(name, str) and name.startswith("--")]
    return flags[0] if flags else f"--{field.replace('_', '-')}"


def _group_of(annotation: Any) -> Group | None:
    if get_origin(annotation) is not Annotated:
        return _Record(annotation) if is_dataclass(annotation) else None
    kind, *rest = get_args(annotation)
    for one in rest:
        if isinstance(one, _Panel):
            return _Record(kind, one.title)
        if hasattr(one, "gather"):
            group: Group = one
            return group
    return None


def _option_info(metadata: Sequence[Any]) -> OptionInfo:
    (found,) = (one for one in metadata if isinstance(one, OptionInfo))
    return found
