"""HTML pages of this package: Jinja templates beside the modules, every value escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render_page"]


def render_page(template: str, **values: Any) -> str:
    """Render a page that needs no other file.

    Args:
        template: Path of the template below this folder, such as `compare/comparison.html`.
        values: Values by their names in the template; text is escaped there.
    """
    return _environment().get_template(template).render(**values) + "\n"


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("edge_convnext", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
