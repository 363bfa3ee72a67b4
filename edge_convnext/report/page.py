"""HTML pages of this package: Jinja templates beside the modules, every value escaped."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["make_environment", "render_page"]


def render_page(template: str, **values: Any) -> str:
    """Render a page that needs no other file.

    Args:
        template: Path of the template below this folder, such as `compare/comparison.html`.
        values: Values by their names in the template; text is escaped there.
    """
    return make_environment().get_template(template).render(**values) + "\n"


@lru_cache(maxsize=4)
def make_environment(finalize: Callable[[Any], Any] | None = None) -> Environment:
    """Where templates are found, and what is done with every value.

    Args:
        finalize: Function that is called with each value before it is escaped.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError(
            "pages of HTML need jinja2, which comes with edge-convnext: pip install jinja2"
        ) from error
    return Environment(
        loader=PackageLoader("edge_convnext", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
