import numpy as np
import pytest
from support.races import candidate

from edge_convnext.core.errors import InferenceError
from edge_convnext.core.progress import untracked
from edge_convnext.devices.bundle.search_manifest import Entrant, SearchEntry
from edge_convnext.devices.tuning import stopwatch
from edge_convnext.devices.tuning.entrants import Entered
from edge_convnext.devices.tuning.journal import Journal
from edge_convnext.devices.tuning.stopwatch import Stopwatch, config_of
from edge_convnext.measure.benchmark import BenchmarkResult

SEARCH = SearchEntry(
    target="cpu", entrants=(Entrant(graph="a", runtime="onnxruntime"),), batch=2, threads=1,
    min_round_ms=7, warmup=2,
)  # fmt: skip
LATENCY = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}


class Row:
    round_gpu_ms_p50 = ()

    def __init__(self, name, times):
        self.artifact, self.round_latency_ms_p50 = name, tuple(times)


class Machine:
    """Each group that is timed together has its own pace, and some candidates break it."""

    def __init__(self, broken=(), paces=(1.0,)):
        self.broken, self.paces, self.groups = set(broken), list(paces), []

    def __call__(self, candidates, images, config, seed, track, measure_memory):
        names = [one.name for one in candidates]
        if self.broken & set(names):
            raise InferenceError("no memory")
        pace = self.paces[len(self.groups) % len(self.paces)]
        self.groups.append(names)
        rows = [Row(name, [LATENCY[name] * pace] * config.rounds) for name in names]
        return BenchmarkResult(tuple(rows), (), 4.0)


@pytest.fixture
def watch(tmp_path, monkeypatch):
    def make(machine, peaks=None, free=None):
        monkeypatch.setattr(stopwatch, "benchmark", machine)
        monkeypatch.setattr(stopwatch, "free_memory_bytes", lambda: free)
        entered = Entered({name: candidate(name) for name in LATENCY}, peaks=peaks or {})
        kept = Journal(tmp_path / "journal.jsonl", {"a": 1})
        return Stopwatch(entered, SEARCH, np.zeros((1, 3, 4, 4), np.float32), kept, untracked)

    return make


def test_what_was_timed_is_not_timed_again(watch):
    machine = Machine()
    one = watch(machine)
    found = one.measure(["a", "b"], 4)
    assert found == {"a": [1.0] * 4, "b": [2.0] * 4}
    assert one.other_load_pct == 4.0
    assert watch(machine).measure(["a", "b"], 4) == found
    assert len(machine.groups) == 1
    one.measure(["a", "b"], 8)
    one.measure(["a", "c"], 4)
    assert len(machine.groups) == 3


def test_groups_that_have_no_room_together_are_put_on_one_scale(watch):
    machine = Machine(paces=(1.0, 2.0, 5.0))  # the board grows warm
    peaks = dict.fromkeys(LATENCY, 1 << 30)
    found = watch(machine, peaks, free=4 << 30).measure(["a", "b", "c", "d"], 6)
    assert machine.groups == [["a", "b"], ["a", "c"], ["a", "d"]]
    assert {name: times[0] for name, times in found.items()} == pytest.approx(LATENCY)


def test_what_breaks_a_group_is_lost_alone(watch):
    machine = Machine(broken={"c"})
    one = watch(machine)
    found = one.measure(["a", "b", "c", "d"], 6)
    assert set(found) == {"a", "b", "d"}
    assert one.entered.lost == {"c": "can't be timed here: no memory"}
    again = watch(Machine())  # the journal knows what was lost
    assert set(again.measure(["a", "b", "c", "d"], 6)) == {"a", "b", "d"}
    assert again.entered.lost == one.entered.lost
    assert set(again.measure(["c", "b", "d"], 8)) == {"b", "d"}


def test_the_first_is_lost_alone_too(watch):
    one = watch(Machine(broken={"a"}))
    assert set(one.measure(["a", "b", "c", "d"], 6)) == {"b", "c", "d"}
    assert set(one.entered.lost) == {"a"}


def test_where_nothing_can_be_timed_an_error_says_so(watch):
    with pytest.raises(InferenceError, match="none of the candidates can be timed here"):
        watch(Machine(broken={"a", "b"})).measure(["a", "b"], 4)


def test_after_a_death_fewer_are_held_together(watch):
    machine = Machine()
    one = watch(machine)
    names = ["a", "b", "c", "d"]
    one.journal.add("begun", f"rung {one._key(names, 4)}")
    one.measure(names, 4)
    assert [len(group) for group in machine.groups] == [2, 2, 2]


def test_a_gpu_is_compared_by_its_own_time(watch):
    class OnGpu(Machine):
        def __call__(self, *arguments, **options):
            result = super().__call__(*arguments, **options)
            for row in result.rows:
                row.round_gpu_ms_p50 = tuple(time / 10 for time in row.round_latency_ms_p50)
            return result

    assert watch(OnGpu()).measure(["a", "b"], 4)["b"] == [0.2] * 4


def test_timings_are_as_the_desk_states():
    config = config_of(SEARCH, 12)
    assert (config.batches, config.threads, config.rounds) == ((2,), 1, 12)
    assert (config.min_round_ms, config.warmup) == (7, 2)
