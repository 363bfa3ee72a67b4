"""Olive's `OnnxStaticQuantization` and `OnnxDynamicQuantization` passes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from call import Call, serve
from olive import run
from olive.data.registry import Registry

_PASSES: dict[str, dict[str, Any]] = {
    "static": {"type": "OnnxStaticQuantization", "data_config": "calibration"},
    "static-no-pre": {
        "type": "OnnxStaticQuantization",
        "data_config": "calibration",
        "quant_preprocess": False,
    },
    "dynamic": {"type": "OnnxDynamicQuantization"},
}


def quantize(call: Call) -> None:
    """Run one pass as a workflow of Olive's."""
    name = call.input_name

    @Registry.register_dataset()
    def peers_calibration(**_: Any) -> Any:
        return [({name: image}, 0) for image in call.images]

    with tempfile.TemporaryDirectory() as folder:
        run(
            {
                "input_model": {"type": "OnnxModel", "model_path": str(call.model)},
                "systems": {
                    "here": {
                        "type": "LocalSystem",
                        "accelerators": [
                            {"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}
                        ],
                    }
                },
                "data_configs": [
                    {
                        "name": "calibration",
                        "type": "DataContainer",
                        "load_dataset_config": {"type": "peers_calibration"},
                        "dataloader_config": {"batch_size": 1},
                    }
                ],
                "passes": {"quantize": _PASSES[call.variant]},
                "host": "here",
                "target": "here",
                "cache_dir": f"{folder}/cache",
                "output_dir": f"{folder}/out",
            }
        )
        made = sorted(Path(folder, "out").rglob("*.onnx"))
        if len(made) != 1:
            raise RuntimeError(f"Olive left {len(made)} ONNX files in its output folder")
        shutil.copyfile(made[0], call.out)


if __name__ == "__main__":
    serve(quantize, ["olive-ai", "onnx", "onnxruntime"])
