"""Export: write a network in one graph form to ONNX, with stable and readable names.

The dynamo exporter also writes stack traces with absolute paths into the metadata of nodes. They
are dropped. `export_names` tells how nodes and values are named. A user can write a quantizer's
scope by hand, since the names stay the same across torch versions.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import FormName, OnnxModel, Precision, Weights
from edge_convnext.core.bounds import MAX_BATCH
from edge_convnext.core.errors import ExportError, MissingDependencyError, reason_of
from edge_convnext.core.files import AnyPath, atomic_path
from edge_convnext.core.heap import pausing_collections
from edge_convnext.core.image_size import sides_of
from edge_convnext.core.sections import ExportConfig
from edge_convnext.core.step import Stage
from edge_convnext.core.version import __version__
from edge_convnext.networks.family import family_of
from edge_convnext.stages.export_names import INPUT_NAME, OUTPUT_NAME, name_by_modules
from edge_convnext.stages.to_float16 import halve_body
from edge_convnext.stages.write_own_graph import write_own_graph

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import torch
    from numpy.typing import NDArray

__all__ = [
    "BY_ROLE",
    "INPUT_NAME",
    "OUTPUT_NAME",
    "OWN_GRAPH",
    "STAGE",
    "export_onnx",
    "run_exporter",
]

# Relative to the largest logit: rounding causes 1e-6, a structural error 1e-2 or more.
STAGE = Stage("export", 3, ("torch", "onnx", "onnxscript", "onnxruntime"), max_error=1e-3)
BY_ROLE = replace(STAGE, revision=5)  # of families whose operations are folded and mended here
OWN_GRAPH = replace(BY_ROLE, max_error=1e-4)  # of an ONNX that is compared with itself

_MAX_PROTOBUF_BYTES = 2**31 - 2**20  # protobuf's limit, less the graph itself


def export_onnx(
    weights: Weights,
    form: FormName,
    precision: Precision,
    config: ExportConfig,
    output: AnyPath,
    batches: Sequence[NDArray[np.float32]] = (),
) -> OnnxModel:
    """Write the graph of one form.

    Args:
        weights: Folded weights; unfolded ones for the form `raw`.
        form: A graph form of the network's family.
        precision: The type of the body: `fp32`, or `fp16` for a float16 body with float32 input,
            output and reductions.
        config: Opset and batch.
        output: The file to write the graph to.
        batches: Normalised real images, float32[n, C, H, W]. They show which norms have an input
            too far from zero for the short form; these norms are written out.

    Returns:
        The graph: images float32[N, C, H, W] to logits float32[N, num_classes].

    Raises:
        ExportError: The exporter failed or wrote another opset than requested, or the form needs
            batch 1 and the batch is not 1.
        MissingDependencyError: torch or onnxscript is not installed.
    """
    output = Path(output)
    if family_of(weights).source_graph(weights) is not None:
        return write_own_graph(weights, form, precision, config, output)
    try:
        import onnx
        import torch

        from edge_convnext.graph.plain_writing import write_plainly
        from edge_convnext.networks.half import HalfBody
    except ImportError as error:
        raise MissingDependencyError(
            f"exporting needs torch and onnxscript ({error.name} is missing): "
            "pip install 'edge-convnext[build]'"
        ) from error

    family = family_of(weights)
    size_bytes = 4 * weights.architecture.count_params()
    if size_bytes > _MAX_PROTOBUF_BYTES:
        raise ExportError(
            f"{weights.info.model} has {size_bytes / 2**30:.1f} GiB of weights, and an ONNX file "
            "holds at most 2; choose a smaller model"
        )
    if form in family.one_image_forms and config.batch != 1:
        raise ExportError(
            f"the form '{form}' computes weights per image and has a batch of {config.batch}; "
            "set export.batch to 1, or choose another form"
        )
    network = family.build(weights, form, map(torch.from_numpy, batches))
    network = network.eval().requires_grad_(False)
    # Modules of other families don't widen their norms, so their graph is halved.
    by_graph = precision == "fp16" and family.placer == "roles"
    halved = precision == "fp16" and not by_graph
    if halved:
        network = HalfBody(network)
    sides = sides_of(weights.info.preprocess.image_size)
    # Two images, because the exporter would turn a batch of one into a constant.
    rows = 2 if config.batch == "dynamic" else config.batch
    sample = torch.zeros(rows, weights.info.in_channels, *sides)
    with _written_plainly(by_role=family.parts.by_role):
        proto = run_exporter(network, sample, config)
    _check_opset(proto, config.opset)
    name_by_modules(proto, wrapped=halved)
    if family.parts.by_role:  # the folds of others are their own
        proto = write_plainly(proto, form)
    _set_metadata(proto, weights, form, "fp32" if by_graph else precision, torch.__version__)
    onnx.checker.check_model(proto, full_check=True)
    with atomic_path(output) as scratch:
        onnx.save(proto, str(scratch))
    made = OnnxModel(output, "fp32" if by_graph else precision, form)
    return halve_body(made, output) if by_graph else made


def _written_plainly(*, by_role: bool) -> contextlib.AbstractContextManager[object]:
    """For networks of other authors; this project's own need it nowhere."""
    from edge_convnext.stages.export_pooling import PoolingAsMean

    return PoolingAsMean() if by_role else contextlib.nullcontext()


_FIRST_TORCH = (2, 10)  # as in pyproject.toml; the exporter of 2.9 fails on all these networks


def run_exporter(
    network: torch.nn.Module, sample: torch.Tensor, config: ExportConfig
) -> onnx.ModelProto:
    """Run torch's exporter on a module of one input and one output.

    Args:
        network: Module in evaluation mode.
        sample: Input of it, [N, ...]; the graph takes any N where the batch is dynamic.
        config: Opset and batch.

    Raises:
        ExportError: The exporter failed.
        MissingDependencyError: onnxscript is not installed.
    """
    import torch

    dynamic = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}
    try:
        with _quiet_exporter(), pausing_collections():
            program = torch.onnx.export(
                network,
                (sample,),
                dynamo=True,
                verbose=False,
                opset_version=config.opset,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=(dynamic,) if config.batch == "dynamic" else None,
            )
    except ImportError as error:
        raise MissingDependencyError(
            f"exporting needs onnxscript ({error}): pip install 'edge-convnext[build]'"
        ) from error
    except Exception as error:  # the exporter raises many types and documents none
        raise ExportError(
            f"torch {torch.__version__} can't export the model at opset {config.opset} "
            f"({reason_of(error)}); {_advise(torch.__version__)}"
        ) from error
    if program is None:
        raise ExportError(
            f"torch {torch.__version__} exported nothing; {_advise(torch.__version__)}"
        )
    return program.model_proto


def _advise(version: str) -> str:
    """Advise what to do about a failed export."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < _FIRST_TORCH:
        first = ".".join(map(str, _FIRST_TORCH))
        return f"torch before {first} exports none of these networks: pip install 'torch>={first}'"
    return "please report it with these words"


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's progress and its notes about torchvision off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            # torch 2.13's exporter uses its own deprecated pytree names.
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check_opset(proto: onnx.ModelProto, wanted: int) -> None:
    found = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    if found != wanted:
        raise ExportError(
            f"the exporter wrote opset {found} instead of {wanted}: it could not convert this "
            "graph; choose an --opset from 18 to 20"
        )


def _set_metadata(
    proto: onnx.ModelProto,
    weights: Weights,
    form: FormName,
    precision: Precision,
    torch_version: str,
) -> None:
    import onnx

    del proto.metadata_props[:]
    tools = f"edge-convnext {__version__}, torch {torch_version}, onnx {onnx.__version__}"
    fields = weights.info.to_metadata(form=form, precision=precision, tools=tools)
    onnx.helper.set_model_props(proto, fields)
    proto.producer_name = "edge-convnext"
    proto.producer_version = __version__
    proto.doc_string = ""
