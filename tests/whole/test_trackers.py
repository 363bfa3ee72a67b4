"""The hook that the report's README shows for MLflow and Weights & Biases."""

import re
import sys
from types import SimpleNamespace

import pytest
from support.example_report import example_report
from support.paths import ROOT

README = ROOT / "edge_convnext" / "report" / "README.md"
METRICS = {"top1_drop_pp", "agreement_pct", "sqnr_db"}
METRICS |= {"speedup_vs_raw_fp32", "speedup_vs_best_float"}


@pytest.fixture
def log_build():
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    (hook,) = (one for one in blocks if "def log_build" in one)
    names = {}
    exec(compile(hook, str(README), "exec"), names)
    return names["log_build"]


@pytest.fixture
def build(tmp_path):
    folder = tmp_path / "atto"
    folder.mkdir()
    report = example_report().model_copy(update={"label": "v1"})
    (folder / "report.json").write_text(report.to_json(), encoding="utf-8")
    (folder / "report.html").write_text("<p>é</p>", encoding="utf-8")
    return folder, report


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what mlflow stores with
def test_mlflow_keeps_it_in_sqlite(log_build, build, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    folder, report = build
    log_build(str(folder))
    (run,) = mlflow.search_runs(output_format="list")
    assert run.info.run_name == "v1"
    assert run.data.params["ships"] == report.verdict.ship
    assert run.data.metrics["top1_drop_pp"] == report.accuracy.top1_drop_pp
    assert [one.path for one in mlflow.MlflowClient().list_artifacts(run.info.run_id)] == [
        "report.html"
    ]


class Kept:
    """A run of Weights & Biases that keeps what it is told."""

    def __init__(self):
        self.told = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def log(self, values):
        self.told.append(values)


def test_weights_and_biases_is_told_what_was_measured(log_build, build, monkeypatch):
    run, started = Kept(), []
    stand_in = SimpleNamespace(init=lambda **how: started.append(how) or run, Html=str)
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    folder, report = build
    log_build(str(folder), tracker="wandb")
    ((how,), (told,)) = started, run.told
    assert how["name"] == "v1"
    assert how["config"]["precision"] == report.recipe["precision"]
    assert told.pop("report") == "<p>é</p>"
    assert told["agreement_pct"] == report.accuracy.agreement_pct
    assert set(told) <= METRICS
    bare = report.model_copy(update={"accuracy": None, "benchmark": None, "label": None})
    (folder / "report.json").write_text(bare.to_json(), encoding="utf-8")
    log_build(str(folder), tracker="wandb")
    assert started[1]["name"] == str(folder)
    assert set(run.told[1]) == {"report"}
