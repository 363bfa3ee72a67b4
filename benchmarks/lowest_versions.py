"""Prove the lower bounds of `pyproject.toml`: install the lowest of each, and run a build.

    pip install uv
    python -m benchmarks.lowest_versions --folder /tmp/lowest --python 3.10

On demand, and not in `.ci/run`: the lowest torch alone is several gigabytes. `--constraint` pins a
package to another version, for a machine that has no room for it; what is pinned is not proven.
Prints the versions and how the build ended, and exits with 1 where a bound is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_RECIPE = """\
model: convnextv2_atto
targets: [cpu]
load: {weights: random, num_classes: 10}
preprocess: {image_size: 32}
data: {source: digits}
export: {form: nhwc}
quantize: {subset_size: 8}
benchmark: {batches: [1], rounds: 6, min_round_ms: 2, warmup: 1}
"""


def main() -> int:
    options = _parse()
    folder: Path = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    _run([*uv, "venv", "--allow-existing", "--python", options.python, str(folder / "venv")])
    pins = folder / "constraints.txt"
    pins.write_text("".join(f"{one}\n" for one in options.constraint), encoding="utf-8")
    install = [*uv, "pip", "install", "--python", str(python), "--resolution", "lowest-direct"]
    install += ["--constraint", str(pins), *options.uv, f"{ROOT}[{options.extras}]"]
    _run(install)
    environment = {**os.environ, "EDGE_CONVNEXT_CACHE": str(folder / "cache")}
    command = [str(python), "-m", "edge_convnext.cli"]
    seen = json.loads(_run([*command, "doctor", "--json"], environment))
    versions = {one["name"]: one["version"] for one in seen["packages"] if one["version"]}
    print(
        json.dumps({"python": seen["python"], **versions, "pinned": options.constraint}, indent=1)
    )
    recipe = folder / "lowest.yaml"
    recipe.write_text(_RECIPE, encoding="utf-8")
    out = folder / "out"
    build = [*command, "build", "--recipe", str(recipe), "--out", str(out), "--verbose"]
    status = subprocess.run(build, env=environment, check=False).returncode
    image = next((folder / "cache").rglob("*.png"))
    predict = [*command, "predict", str(out / "model.int8.onnx"), str(image)]
    status = status or subprocess.run(predict, env=environment, check=False).returncode
    print(f"the build with these versions ended with exit code {status}")
    return 1 if status else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="For the environment.")
    parser.add_argument("--python", default="3.10", help="The lowest that the package supports.")
    parser.add_argument("--extras", default="build,openvino")
    parser.add_argument("--constraint", action="append", default=[], help="torch==2.13.0")
    parser.add_argument("--uv", action="append", default=[], help="Passed to `uv pip install`.")
    return parser.parse_args()


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
