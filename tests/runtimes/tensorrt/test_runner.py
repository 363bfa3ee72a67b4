from dataclasses import asdict, replace

import numpy as np
import pytest
from support.fake_tensorrt import DEVICE, INFO, SIZE, FakeCuda, logits, write_engine
from support.races import candidate
from support.tiny_graph import write_graph

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import ArtifactError, InferenceError
from edge_convnext.core.sections import BenchmarkConfig
from edge_convnext.data.preprocess import normalise
from edge_convnext.measure.benchmark import benchmark, speedup
from edge_convnext.measure.model import load_model
from edge_convnext.measure.model_batches import usual_batches
from edge_convnext.runtimes import GpuRuntime, RuntimeOptions

IMAGES = np.random.default_rng(1).standard_normal((9, 3, SIZE, SIZE)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 4, None])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_any_number_of_images_runs_at_the_engines_batch(load, batch, count):
    runner = load(batch)
    assert isinstance(runner, GpuRuntime)
    np.testing.assert_allclose(runner.infer(IMAGES[:count]), logits(IMAGES[:count]), rtol=1e-6)
    assert runner.describe().batch == batch


def test_a_dynamic_engine_runs_each_size_as_it_is(load):
    cuda = FakeCuda()
    runner = load(None, cuda=cuda)
    runner.infer(IMAGES[:3])
    assert cuda.log.count("launch") == 2  # once to try the graph
    runner.infer(IMAGES[:3])
    assert cuda.log.count("launch") == 3
    assert cuda.log.count("enqueue") == 3  # warm-up: a graph does the rest


def test_results_do_not_share_the_buffer_that_is_used_again(load):
    runner = load(1)
    first = runner.infer(IMAGES[:1])
    kept = first.copy()
    runner.infer(IMAGES[1:2])
    np.testing.assert_array_equal(first, kept)


def test_float16_images_are_rounded(load):
    found = load(2, dtype="HALF").infer(IMAGES[:2])
    np.testing.assert_allclose(found, logits(IMAGES[:2].astype(np.float16)), rtol=1e-6)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_come_out_as_they_were_before_they_were_normalised(
    load, monkeypatch, channels, layout
):
    preprocess = Preprocess(SIZE, mean=(0.5, 0.4, 0.3), std=(0.3, 0.2, 0.1))
    model = asdict(replace(INFO, in_channels=channels, preprocess=preprocess))
    shape = (256, SIZE, SIZE, channels) if layout == "nhwc" else (256, channels, SIZE, SIZE)
    grey = np.arange(256, dtype=np.uint8)  # every value there is
    pixels = np.broadcast_to(grey[:, None, None, None], (256, SIZE, SIZE, channels))
    squeezed = pixels[..., 0] if channels == 1 else pixels
    images = np.stack([normalise(one, preprocess) for one in squeezed])
    facts = {**model, "images_type": "uint8", "images_layout": layout}
    runner = load(256, dtype="UINT8", shape=shape, model=facts)
    monkeypatch.setattr(runner, "infer_images", lambda found: found)
    wanted = pixels if layout == "nhwc" else pixels.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(runner.infer(images), wanted)


@pytest.mark.parametrize("channels", [2, 4])
def test_pixels_of_other_channels_than_the_means_are_refused(load, channels):
    runner = load(2, dtype="UINT8", shape=(2, SIZE, SIZE, channels))
    with pytest.raises(InferenceError, match="no batch of images, RGB or grey"):
        runner.infer(np.zeros((2, channels, SIZE, SIZE), np.float32))


def test_an_engine_of_pixels_takes_them_or_what_was_normalised_from_them(load):
    pixels = np.random.default_rng(2).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)
    mean, std = (np.float32(value) for value in (INFO.preprocess.mean, INFO.preprocess.std))
    images = ((pixels / np.float32(255) - mean) / std).transpose(0, 3, 1, 2)
    runner = load(2, dtype="UINT8", shape=(2, SIZE, SIZE, 3))
    found = runner.infer_images(pixels)
    np.testing.assert_allclose(found, logits(images), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(runner.infer(images.astype(np.float32)), found)
    with pytest.raises(InferenceError, match=r"uint8\[N, 4, 4, 3\], not uint8\[3, 2, 4, 3\]"):
        runner.infer_images(pixels[:, :2])
    with pytest.raises(InferenceError, match="takes normalised values"):
        load(2).infer_images(pixels)


def test_gpu_time_is_of_launches_alone(load):
    cuda = FakeCuda()
    runner = load(1, cuda=cuda)
    runner.infer(IMAGES[:1])
    copies = cuda.log.count("upload")
    assert runner.time_launches(1, 4) == [0.5] * 4
    assert cuda.log.count("upload") == copies
    with pytest.raises(InferenceError, match="runs batch 1, not 2"):
        runner.time_launches(2, 1)


@pytest.mark.parametrize(
    ("captures", "settings", "said"),
    [(True, (), "on"), (False, (), "no graphs here"), (True, (("cuda_graph", "off"),), "off")],
)
def test_without_a_cuda_graph_it_runs_all_the_same_and_says_so(load, captures, settings, said):
    options = RuntimeOptions(batch=1, settings=settings)
    runner = load(1, cuda=FakeCuda(captures=captures), options=options)
    np.testing.assert_allclose(runner.infer(IMAGES[:1]), logits(IMAGES[:1]), rtol=1e-6)
    assert runner.describe().options["cuda_graph"] == said


def test_closing_frees_the_device(load):
    cuda = FakeCuda()
    runner = load(None, cuda=cuda)
    runner.infer(IMAGES[:2])
    assert cuda.memory
    runner.close()
    assert not cuda.memory


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"engine_sha256": "0" * 64}, r"not the file that its sidecar describes"),
        ({"tensorrt": "8.6.2"}, r"built by tensorrt 8\.6\.2, and is not version-compatible; this"),
        ({"tensorrt": "11.0.0", "flags": {"version_compatible": True}}, "built by tensorrt 11"),
        ({"compute_capabilities": ["8.9"]}, r"compute capability 8\.9; the Fake GPU has 8\.7"),
        ({"gpu": {"name": "Other GPU"}}, "tuned on Other GPU, and this is Fake GPU"),
        ({"runtime": "tensorrt_rtx"}, "is for tensorrt_rtx, and this is tensorrt"),
    ],
)
def test_an_engine_for_elsewhere_is_refused_before_tensorrt_reads_it(load, changes, reason):
    read = []
    with pytest.raises(ArtifactError, match=reason):
        load(1, log=read, **changes)
    assert read == []


def test_compatible_engines_run_elsewhere(load):
    read = []
    older = {"tensorrt": "8.6.2", "flags": {"version_compatible": True}}
    load(1, log=read, **older)
    assert read == [(b"plan", True)]  # it carries code of its own version
    other = {"gpu": {"name": "Other"}, "compute_capabilities": ["8.9"]}
    load(1, **other, flags={"hardware_compatible": True})


def test_a_model_from_an_engine_has_its_classes_and_preprocessing(load):
    path = load(1)._path
    model = load_model(path)
    assert model.info == INFO
    assert model.runtime.describe().options["gpu"] == DEVICE.name
    with pytest.raises(ArtifactError, match="runs in tensorrt; for onnxruntime pass the ONNX"):
        load_model(path, "onnxruntime")


def test_engines_are_timed_at_the_batch_they_run(load, tmp_path):
    graph = write_graph(tmp_path / "m.onnx")
    assert usual_batches([load(4)._path]) == (4,)
    assert usual_batches([load(None)._path, graph]) == (1, 4)
    assert usual_batches([graph]) == (1, 8)


def test_graphs_of_one_batch_are_timed_at_it_and_two_such_do_not_race(tmp_path):
    graphs = [write_graph(tmp_path / f"b{batch}.onnx", batch) for batch in (2, 2, 3)]
    assert usual_batches([*graphs[:2], write_graph(tmp_path / "free.onnx")]) == (2,)
    with pytest.raises(ArtifactError, match=r"b3\.onnx: is of batch 3, and .*b2\.onnx of batch 2"):
        usual_batches(graphs)


def test_engines_race_and_their_rows_tell_gpu_time(load, tmp_path):
    path = load(1)._path
    other = write_engine(tmp_path / "other.engine", precision="fp16")
    candidates = [
        candidate(one.name, one, precision, "mixed", None, "tensorrt")
        for one, precision in ((path, "int8"), (other, "fp16"))
    ]
    config = BenchmarkConfig(batches=(1,), rounds=6, min_round_ms=1, warmup=1)
    result = benchmark(candidates, IMAGES[:1], config, measure_memory=False)
    for row in result.rows:
        assert row.gpu_ms_p50 == 0.5
        assert row.round_gpu_ms_p50 == (0.5,) * 6
        assert row.latency_ms_p50 > 0
    assert speedup(result, "m.engine", "other.engine", 1).median == 1.0  # of the GPU's time
    assert result.runtimes[0].options["cuda"] == "fake 1.0"
