"""`edge-convnext export`: the float ONNX of some weights, and nothing else."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge_convnext.cli.console import Terminal, note, print_json, progress, show_read
from edge_convnext.cli.flags import Overrides
from edge_convnext.cli.options import PREPROCESS, RecipeOption, flags, resolve
from edge_convnext.cli.signature import command
from edge_convnext.core.text import printable

__all__ = ["export"]

_FLAGS = flags(
    *("model", "load.weights", *PREPROCESS, "data.source", "data.labels"),
    *("data.skip_bad_images", "runtime", "fold.enabled", "simplify.enabled"),
    *("export.form", "export.opset", "export.batch"),
    limits=False,
)


@command
def export(
    *,
    stated: Annotated[Overrides, _FLAGS],
    recipe: RecipeOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX file to write.")],
    terminal: Terminal,
) -> None:
    """Export weights to a float ONNX file, compared with the network as it came.

    Nothing is quantized or timed. The folds are exact, and the file carries class names and
    preprocessing, so that `predict`, `eval` and `bench` read it. Images of --data serve the
    comparison; without it, the bundled digits do.
    """
    from edge_convnext.build.apart import require_apart
    from edge_convnext.build.export_only import export_float
    from edge_convnext.core.errors import RecipeError

    chosen = resolve(recipe, stated)
    if recipe is None and chosen.load.weights is None:
        raise RecipeError("no weights: pass --weights FILE (or in1k, or random)")
    require_apart([out], [Path(recipe)] if recipe else [])
    with progress(terminal.silent) as track:
        made = export_float(chosen, out, track=track, on_read=show_read(terminal.silent))
    if terminal.json:
        print_json({**asdict(made), "path": str(made.path)})
        return
    if made.simplified is not None:
        note(f"not simplified: {made.simplified}", terminal.silent)
    parity = made.parity
    sqnr = "equal" if parity.sqnr_db is None else f"{parity.sqnr_db:.1f} dB"
    typer.echo(
        f"{printable(str(made.path))}: the {made.form} form in FP32, opset {made.opset}, batch "
        f"{made.batch}, {made.size_bytes / 1e6:.1f} MB; against the model as it came: max error "
        f"{parity.max_abs_err:.1e}, {sqnr}, agreement {parity.agreement_pct:.1f} % on "
        f"{parity.n_images} images"
    )
