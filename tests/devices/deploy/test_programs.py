import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import trt_stand_ins
from support.deployables import LABELS, NAMES, write_engine
from support.trt_stand_ins import CLASSES, CUDA_RUNTIME_API_H, NV_INFER_H

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import ArtifactError
from edge_convnext.data.preprocess import decode_image
from edge_convnext.devices.deploy import write
from edge_convnext.devices.deploy.write import write_deployment
from edge_convnext.report.manifest import write_manifest

TEMPLATES = Path(write.__file__).with_name("templates")


SCRIPT = TEMPLATES / "classify.py"


def test_an_engine_names_no_module_that_the_script_would_import(build, tmp_path, monkeypatch):
    for name in ("os", "tensorrt.plugins", "", None, ["tensorrt"], "x" * 999):
        engine = write_engine(build / "model.int8.engine", build / "model.int8.onnx", name)
        write_manifest(build, [build / "model.int8.onnx", engine, build / "report.json"])
        for kind in ("python", "cpp", "triton"):
            with pytest.raises(ArtifactError, match="which is no runtime of engines") as said:
                write_deployment(build, kind, tmp_path / "out", engine)
            assert len(str(said.value)) < 700
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["wave", None, ["tensorrt"], {}])
def test_the_script_imports_no_other_module_than_tensorrt(
    build, tmp_path, monkeypatch, photograph, name
):
    out = tmp_path / "out"
    write_deployment(build, "python", out)
    (out / "wave.py").write_text("raise RuntimeError('it was imported')")
    monkeypatch.syspath_prepend(out)
    sidecar = out / "model.engine.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "runtime": name}))
    script(monkeypatch)
    with pytest.raises(SystemExit, match="no TensorRT is called"):
        run_script(monkeypatch, out, photograph)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 3}', '{"model": {}}'])
def test_a_damaged_sidecar_ends_the_script_in_one_line(
    build, tmp_path, monkeypatch, photograph, content
):
    write_deployment(build, "python", tmp_path / "out")
    (tmp_path / "out" / "model.engine.json").write_text(content)
    script(monkeypatch)
    with pytest.raises(SystemExit) as said:
        run_script(monkeypatch, tmp_path / "out", photograph)
    assert "\n" not in said.value.code
    assert "usage: python classify.py" in said.value.code


def test_logits_that_are_no_numbers_are_no_answer_of_the_script(
    build, tmp_path, monkeypatch, photograph, capsys
):
    write_deployment(build, "python", tmp_path / "out")
    script(monkeypatch)
    run = trt_stand_ins.Context.execute_async_v3

    def overflow(self, stream):
        run(self, stream)
        at = self._at[self._engine._names[1]]
        trt_stand_ins.view(at, (self._batch, CLASSES), np.float32)[...] = np.nan
        return True

    monkeypatch.setattr(trt_stand_ins.Context, "execute_async_v3", overflow)
    with pytest.raises(SystemExit, match="logits that are no numbers"):
        run_script(monkeypatch, tmp_path / "out", photograph)
    assert capsys.readouterr().out == ""


def test_the_script_is_sixty_lines():
    assert len(SCRIPT.read_text().splitlines()) <= 60


def script(monkeypatch, trt=None, name="tensorrt", **options):
    cuda = trt_stand_ins.cuda(options.pop("fails", None))
    trt_stand_ins.install(monkeypatch, trt or trt_stand_ins.tensorrt(), cuda, name, **options)


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("photograph") / "leaf.png"
    pixels = np.random.default_rng(0).integers(0, 256, (90, 61, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(image_size=32),
        Preprocess(image_size=32, resize="shortest", crop_pct=0.875, interpolation="bicubic"),
        Preprocess(image_size=33, resize="shortest", crop_pct=0.9, interpolation="lanczos"),
        Preprocess(image_size=30, resize="shortest", mean=(0.5, 0.4, 0.3), std=(0.5, 0.2, 0.1)),
        Preprocess(image_size=(20, 33)),
        Preprocess((33, 20), "shortest", 0.9, "bicubic"),
    ],
)
def test_the_script_prepares_an_image_as_the_package_does(
    monkeypatch, photograph, preprocess, channels
):
    script(monkeypatch)
    read_image = runpy.run_path(str(SCRIPT))["read_image"]
    model = {"preprocess": asdict(preprocess), "in_channels": channels}
    images = read_image(photograph, model)
    wanted = decode_image(photograph, preprocess, channels)[None]
    assert images.shape == wanted.shape
    np.testing.assert_allclose(images, wanted, atol=2e-6)
    planar = read_image(photograph, {**model, "images_type": "uint8", "images_layout": "nchw"})
    inside = read_image(photograph, {**model, "images_type": "uint8", "images_layout": "nhwc"})
    assert planar.dtype == inside.dtype == np.uint8
    np.testing.assert_array_equal(planar, inside.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("batch", [-1, 1, 3])
@pytest.mark.parametrize("kind", ["FLOAT", "HALF"])
def test_the_script_runs_engines_of_any_batch_and_float(monkeypatch, batch, kind):
    trt = trt_stand_ins.tensorrt((batch, 3, 4, 4), kind, NAMES)
    script(monkeypatch, trt, new_cuda=batch < 3)
    infer = runpy.run_path(str(SCRIPT))["infer"]
    images = np.random.default_rng(1).random((1, 3, 4, 4))
    logits = infer(trt, b"plan", images)
    assert logits.dtype == np.float32
    wanted = images.mean() * np.arange(1, CLASSES + 1)
    np.testing.assert_allclose(logits, wanted, rtol=1e-2 if kind == "HALF" else 1e-5)


def test_the_stand_ins_have_only_what_tensorrt_for_rtx_has():
    real = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    pairs = {
        real.ICudaEngine: trt_stand_ins.Engine,
        real.IExecutionContext: trt_stand_ins.Context,
        real.Runtime: trt_stand_ins.tensorrt().Runtime,
    }
    for there, here in pairs.items():
        assert {name for name in vars(here) if name[0] != "_"} <= set(dir(there))
    assert hasattr(real.ICudaEngine, "num_io_tensors")
    assert {"INPUT", "OUTPUT"} <= set(dir(real.TensorIOMode))
    assert set(trt_stand_ins.TYPES) <= set(dir(real.DataType))


def run_script(monkeypatch, folder, image):
    monkeypatch.setattr(sys, "argv", ["classify.py", str(folder / "model.engine"), str(image)])
    runpy.run_path(str(folder / "classify.py"), run_name="__main__")


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_the_script_classifies(build, tmp_path, monkeypatch, capsys, photograph, name):
    model = build / ("model.int8.engine" if name == "tensorrt" else "model.int8.rtx.engine")
    write_deployment(build, "python", tmp_path / "out", model)
    script(monkeypatch, name=name)
    run_script(monkeypatch, tmp_path / "out", photograph)
    printed = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    mean = decode_image(photograph, Preprocess(image_size=4)).mean()
    assert tuple(printed) == (LABELS if mean < 0 else LABELS[::-1])


@pytest.mark.parametrize(
    ("trt", "fails", "said"),
    [
        ({"loads": False}, None, "the engine is not for this machine"),
        ({"shape": (-1, 3, 8, 8)}, None, r"can't run \(1, 3, 4, 4\)"),
        ({}, "cudaMalloc", "cudaMalloc: 2"),
        ({}, "cudaMemcpy", "cudaMemcpy: 2"),
    ],
)
def test_the_script_says_what_failed(build, tmp_path, monkeypatch, photograph, trt, fails, said):
    write_deployment(build, "python", tmp_path / "out")
    script(monkeypatch, trt_stand_ins.tensorrt(**trt), fails=fails)
    with pytest.raises(SystemExit, match=said):
        run_script(monkeypatch, tmp_path / "out", photograph)


@pytest.mark.parametrize("absent", ["numpy", "PIL", "cuda", "tensorrt"])
def test_what_the_script_misses_is_one_line_with_its_usage(
    build, tmp_path, monkeypatch, photograph, absent
):
    write_deployment(build, "python", tmp_path / "out")
    script(monkeypatch)
    for name in [one for one in sys.modules if one.partition(".")[0] == absent]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)  # as if it were not installed
    with pytest.raises(SystemExit) as said:
        run_script(monkeypatch, tmp_path / "out", photograph)
    assert re.fullmatch(
        rf".*{absent}.*; usage: python classify.py model.engine .*", said.value.code
    )


@pytest.mark.parametrize("arguments", [[], ["model.engine"], ["absent.engine", "leaf.jpg"]])
def test_the_script_says_how_to_call_it(tmp_path, arguments):
    command = [sys.executable, str(SCRIPT), *arguments]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    assert "usage: python classify.py model.engine leaf.jpg" in line


needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


def compile_program(folder, includes, *flags):
    command = ["g++", "-std=c++14", "-Wall", "-Wextra", "-Werror", *flags]
    for include in includes:
        command += ["-isystem", str(include)]
    result = subprocess.run(
        [*command, str(folder / "classify.cpp")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def write_headers(folder):
    """Stand-ins for TensorRT's and CUDA's."""
    headers = folder / "headers"
    headers.mkdir()
    (headers / "NvInfer.h").write_text(NV_INFER_H)
    (headers / "cuda_runtime_api.h").write_text(CUDA_RUNTIME_API_H)
    return headers


@needs_compiler
def test_the_cpp_program_classifies_with_stand_ins(build, tmp_path, photograph):
    write_deployment(build, "cpp", tmp_path / "out")
    headers = write_headers(tmp_path)
    program = tmp_path / "classify"
    compile_program(tmp_path / "out", [headers], "-o", str(program))

    image = tmp_path / "leaf.ppm"
    Image.open(photograph).resize((4, 4), Image.Resampling.BILINEAR).save(image)

    def classify(engine, file):
        command = [str(program), str(engine), str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    answer = classify(tmp_path / "out/model.engine", image)
    assert answer.returncode == 0, answer.stderr
    rows = [line.split(maxsplit=1) for line in answer.stdout.splitlines()]
    mean = float(decode_image(photograph, Preprocess(image_size=4)).mean())
    wanted = sorted(((k + 1) * mean, LABELS[k]) for k in range(CLASSES))[::-1]
    assert [label for _, label in rows] == [label for _, label in wanted]
    np.testing.assert_allclose(
        [float(row[0]) for row in rows], [row[0] for row in wanted], atol=2e-3
    )

    compile_program(tmp_path / "out", [headers], "-DHALVES", "-o", f"{program}16")
    command = [f"{program}16", str(tmp_path / "out/model.engine"), str(image)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    rounded = [float(line.split()[0]) for line in answer.stdout.splitlines()]
    np.testing.assert_allclose(rounded, [row[0] for row in wanted], atol=2e-3, rtol=2e-3)

    assert classify(tmp_path / "absent", image).stderr.startswith("can't read")
    (tmp_path / "empty").touch()
    assert "not for this machine" in classify(tmp_path / "empty", image).stderr
    Image.open(photograph).save(image)
    assert "of the model's size" in classify(tmp_path / "out/model.engine", image).stderr
    image.write_bytes(b"P6\n4 4\n255\nshort")
    assert "ends too early" in classify(tmp_path / "out/model.engine", image).stderr


@needs_compiler
def test_the_cpp_program_rounds_to_halves_as_numpy_does(build, tmp_path):
    write_deployment(build, "cpp", tmp_path / "out")
    headers = write_headers(tmp_path)
    program = tmp_path / "out/round.cpp"
    program.write_text(
        "#define main classify\n"
        '#include "classify.cpp"\n'
        "#undef main\n"
        "int main() {\n"
        "    for (float x; std::fread(&x, sizeof x, 1, stdin);)\n"
        '        std::printf("%d %.9g\\n", toHalf(x), fromHalf(toHalf(x)));\n'
        "}\n"
    )
    command = ["g++", "-std=c++14", "-isystem", str(headers), "-o", str(tmp_path / "round")]
    subprocess.run([*command, str(program)], check=True)
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32),
            rng.normal(0, 2, 20_000),
            rng.normal(0, 1e-5, 2_000),  # subnormal
            [0.0, -0.0, 2049.0, 2051.0],  # ties go to even
        ]
    ).astype(np.float32)
    answer = subprocess.run(
        [str(tmp_path / "round")], input=values.tobytes(), capture_output=True, check=True
    )
    rows = np.array(answer.stdout.split(), np.float64).reshape(-1, 2)
    halves = values.astype(np.float16)
    np.testing.assert_array_equal(rows[:, 0], halves.view(np.uint16))
    np.testing.assert_array_equal(rows[:, 1].astype(np.float32), halves.astype(np.float32))


def tensorrt_includes():
    """Folders of TensorRT's own headers and of CUDA's, where both are here."""
    places = [
        *filter(None, [os.environ.get("TENSORRT_INCLUDE")]),
        "/usr/include/aarch64-linux-gnu",
        "/usr/include/x86_64-linux-gnu",
        "/usr/local/tensorrt/include",
    ]
    trt = next((place for place in places if Path(place, "NvInfer.h").is_file()), None)
    cuda = next(
        (
            place
            for place in (
                "/usr/local/cuda/include",
                *map(str, Path("/usr/local").glob("cuda-*/include")),
            )
            if Path(place, "cuda_runtime_api.h").is_file()
        ),
        None,
    )
    return [trt, cuda] if trt and cuda else None


@needs_compiler
def test_the_cpp_program_compiles_against_tensorrts_headers(build, tmp_path):
    includes = tensorrt_includes()
    if includes is None:
        pytest.skip("TensorRT's headers (TENSORRT_INCLUDE) or CUDA's are not installed")
    write_deployment(build, "cpp", tmp_path / "out")
    compile_program(tmp_path / "out", includes, "-fsyntax-only")
