"""What lies beside a finished model is held against it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from support.example_report import example_report
from support.known_models import draw_images
from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.splits import Splits
from edge_convnext.measure import built_models, model
from edge_convnext.measure.of_build import tell_changed, tell_seen
from edge_convnext.report.manifest import write_manifest


@pytest.fixture
def built(tmp_path):
    (tmp_path / "cpu").mkdir()
    files = [tmp_path / "model.int8.onnx", tmp_path / "cpu" / "int8.openvino.onnx"]
    for path in files:
        path.write_bytes(b"as it was built")
    write_manifest(tmp_path, files)
    return files


def test_a_file_that_is_not_the_manifests_is_told(built, tmp_path, monkeypatch):
    for path in built:
        assert tell_changed(path) is None
        path.write_bytes(b"with other names")
        assert tell_changed(path).startswith(f"{path}: is not the file that manifest.json beside")
    monkeypatch.chdir(tmp_path)
    assert "changed since the build" in tell_changed(Path("model.int8.onnx"))
    other = tmp_path / "other.onnx"
    other.write_bytes(b"of somebody else")
    assert tell_changed(other) is None
    (tmp_path / "manifest.json").write_text("{")
    assert tell_changed(built[0]) is None
    (tmp_path / "manifest.json").unlink()
    assert tell_changed(built[0]) is None


def splits(names, by_seed):
    images = ImageSet(tuple(Sample(Path(one), one, 0) for one in names), ("a", "b"))
    return Splits(None, images, "", by_seed=by_seed)


def test_images_that_calibrated_the_build_are_counted(built, tmp_path):
    assert tell_seen(built[0], splits("abc", by_seed=True), 0) == ()
    (tmp_path / "calibration.csv").write_text("path,sha256\nx/a.png,a\nx/z.png,z\n")
    (note,) = tell_seen(built[1], splits("abc", by_seed=False), 0)
    assert "1 of 3 evaluation images calibrated this very build" in note
    assert tell_seen(built[0], splits("bc", by_seed=False), 0) == ()


def test_a_set_that_was_split_anew_is_told_with_the_builds_own_split(built, tmp_path):
    (tmp_path / "predictions.csv").write_text("sha256,label\nb,1\nc,1\n")
    (note,) = tell_seen(built[0], splits("abc", by_seed=True), 7)
    assert "split anew, by seed 7: 1 of 3 images are not among the 2" in note
    assert note.endswith("not stated in its report.")
    report = example_report()
    report.write(tmp_path / "report.json")
    (note,) = tell_seen(built[0], splits("abc", by_seed=True), 7)
    assert note.endswith(f"The build's own split: {report.data.split}.")
    assert tell_seen(built[0], splits("abc", by_seed=False), 7) == ()


class Swapped:
    """A finished model of three colours whose first two names are exchanged."""

    info = ModelInfo("m", 3, 3, ("bee", "ant", "cat"), Preprocess(32), "w.pth", "0" * 64, None)

    @property
    def runtime(self):
        return self

    def infer(self, images):
        return images.mean(axis=(2, 3))

    def describe(self):
        return SimpleNamespace(name="colours", version="1")

    def answer(self, images, track):
        return []


def test_eval_and_predict_say_so_even_when_quiet(built, tmp_path, monkeypatch):
    data = draw_images(
        tmp_path / "data", {f"val/{name}": (15, i) for i, name in enumerate(("ant", "bee", "cat"))}
    )
    built[0].write_bytes(b"with other names")
    monkeypatch.setattr(built_models, "load_model", lambda *_: Swapped())
    monkeypatch.setattr(model, "load_model", lambda *_: Swapped())
    run = CliRunner().invoke(app, ["eval", str(built[0]), "--data", str(data), "--quiet"])
    told = run.stderr.splitlines()
    assert told[0].startswith(f"warning: {built[0]}: is not the file that manifest.json")
    assert "is right in 33.33 % of 45" in told[1]
    assert "in 100.00 % in another order of the classes (ant, bee, cat)" in told[1]
    found = built_models.evaluate_model(built[0], DataConfig(source=str(data)))
    assert len(found.notes) == 2
    run = CliRunner().invoke(app, ["predict", str(built[0]), str(data), "--quiet"])
    assert run.stderr.startswith(f"warning: {built[0]}: is not the file")
