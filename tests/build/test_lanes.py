"""Two lanes: who makes which graphs, what counts as made, and what a child may not spoil."""

import os
import pickle
from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.stage_lab import INFO, RECIPE, WEIGHTS

from edge_convnext.build import lanes
from edge_convnext.build.lanes import SecondLane, Work, split_work
from edge_convnext.build.lineage import Lineage
from edge_convnext.core import quotas
from edge_convnext.core.cache import Cache
from edge_convnext.core.isolate import IsolatedFailure
from edge_convnext.core.progress import untracked
from edge_convnext.core.step import Images, Skipped, Step
from edge_convnext.networks.plans import float_plan, plan_for
from edge_convnext.stages import recover


def decode():
    return []


SAMPLES, CALIBRATION, TRAINING = (Images(name, 3, decode) for name in "abc")
HAS_ROOM = SecondLane._has_room  # before the session's fixtures
WEIGHT_BYTES = 100
MODEL = Step(WEIGHTS, "done", 0.0, "digest of model")
INPUTS = SimpleNamespace(weights=MODEL, info=INFO)
ATTO = RECIPE.model_copy(update={"precision": "int8"})
BOTH = ("onnxruntime", "openvino")


def work(recipe=ATTO, runtimes=BOTH, targets=("cpu",), **named):
    training = Skipped(recover.STAGE, "not asked for")
    fields = {"calibration": CALIBRATION, **named}
    return Work(recipe, INPUTS, targets, runtimes, (), SAMPLES, training=training, **fields)


def test_every_form_is_in_one_lane_and_the_lanes_are_about_as_long():
    own, other = split_work(work(targets=("cpu", "rtx")))
    assert not own.forms & other.forms
    assert {"raw", *(plan_for(ATTO, one).form for one in BOTH)} <= own.forms | other.forms
    assert own.gpu != other.gpu
    assert abs(own.cost - other.cost) < 2.0


def test_what_is_begun_or_left_out_is_no_work():
    whole = split_work(work())
    slow = work(without=tuple(whole[0].forms | whole[1].forms))
    assert split_work(slow) is None
    forms = {plan_for(ATTO, one).form for one in BOTH}
    begun = tuple(Lineage(float_plan(form, "fp32"), ()) for form in forms)
    costs = [sum(part.cost for part in split_work(one)) for one in (work(begun=begun), work())]
    assert costs[1] - costs[0] == pytest.approx(len(forms))


@pytest.mark.parametrize(
    "small",
    [
        work(runtimes=("onnxruntime",), recipe=ATTO.model_copy(
            update={"benchmark": ATTO.benchmark.model_copy(update={"scope": "decision"})}
        )),
        work(runtimes=(), calibration=None),
    ],
)  # fmt: skip
def test_one_form_or_none_is_not_worth_a_second_process(small):
    assert split_work(small) is None


class Lanes:
    """Stands for the child and for making graphs: each leaves an entry in the cache."""

    def __init__(self, tmp_path, monkeypatch):
        self.cache = Cache(tmp_path)
        self.made, self.called, self.ended, self.training, self.found = [], [], [], [], None
        self.runner = SimpleNamespace(
            cache=self.cache, recipe=ATTO, versions={"onnx": "1"}, track=untracked, known={}
        )
        monkeypatch.setattr(SecondLane, "_has_room", HAS_ROOM)
        monkeypatch.setattr(lanes, "start_child", self.start)
        monkeypatch.setattr(lanes, "free_memory_bytes", lambda: self.free_bytes)
        monkeypatch.setattr(lanes, "other_load_pct", lambda before, now: self.load_pct)
        monkeypatch.setattr(lanes, "_is_made", lambda *_: self.is_made)
        self.free_bytes, self.load_pct, self.is_made = 1 << 40, None, False

    def make(self, runner, work, part=None):
        cores = lanes.usable_cores()
        self.made.append((part, cores))
        self.training.append(work.training)
        runner.cache.run("own", "k", lambda folder: {})

    def start(self, warm_up=None):
        self.called.append(warm_up)
        outer = self

        class Child:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                outer.ended.append(True)

            def call(self, function, *arguments):
                outer.called.append((function, pickle.loads(pickle.dumps(arguments[2:4]))))

            def result(self, timeout_s):
                assert timeout_s == pytest.approx(600 + 5 * WEIGHT_BYTES / 1e6)
                theirs = Cache(outer.cache.root)
                theirs.run("theirs", "k", lambda folder: {})
                made = lanes._Made(theirs.made, {("theirs", "images", "onnxruntime"): "logits"})
                return made if outer.found is None else outer.found

        return Child()


@pytest.fixture
def two(tmp_path, monkeypatch):
    file = tmp_path / "weights"
    file.write_bytes(bytes(WEIGHT_BYTES))
    monkeypatch.setattr(quotas, "read_cpu_quota", lambda _: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    made = Lanes(tmp_path, monkeypatch)
    own = MODEL.of(replace(WEIGHTS, path=file))
    made.work = replace(work(), inputs=SimpleNamespace(weights=own, info=INFO))
    return made


def statuses(cache):
    return [cache.run(stage, "k", lambda folder: {}).cached for stage in ("own", "theirs")]


def test_both_lanes_fill_the_cache_and_all_of_it_counts_as_made_by_this_build(two):
    with SecondLane() as lane:
        lane.fill_cache(two.runner, two.work, two.make)
    own, other = split_work(two.work)
    assert two.made == [(own, 2)]  # with half of the cores
    assert two.called == [None, (lanes._make_there, (other, two.cache.root))]
    assert two.ended == [True]
    assert two.runner.known == {("theirs", "images", "onnxruntime"): "logits"}
    assert statuses(two.cache) == [False, False]
    assert statuses(two.cache) == [True, True]


def test_what_the_child_did_not_make_is_left_to_the_build(two):
    two.found = IsolatedFailure("out of memory")
    with SecondLane() as lane:
        lane.fill_cache(two.runner, two.work, two.make)
    assert statuses(two.cache) == [False, True]


def test_a_network_that_can_not_be_sent_is_made_here_alone(two):
    two.work = replace(two.work, samples=lambda: None)
    with SecondLane() as lane:
        lane.fill_cache(two.runner, two.work, two.make)
    assert (two.made, two.called) == ([], [])


def test_code_of_the_users_own_and_missing_packages_leave_one_process(two, monkeypatch):
    monkeypatch.setattr(lanes, "consented", lambda: frozenset({"net:make"}))
    with SecondLane() as lane:
        lane.fill_cache(two.runner, two.work, two.make)
    monkeypatch.setattr(lanes, "consented", frozenset)
    monkeypatch.setattr(lanes, "find_spec", lambda name: None if name == "threadpoolctl" else name)
    with SecondLane() as lane:
        lane.fill_cache(two.runner, two.work, two.make)
    assert (two.made, two.called) == ([], [])


def test_a_fold_that_was_made_to_look_counts_as_made(two, monkeypatch):
    def look(runner, *_):
        runner.cache.run("own", "k", lambda folder: {})
        return True

    monkeypatch.setattr(lanes, "_is_made", look)
    with SecondLane() as lane:
        lane.fill_cache(two.runner, two.work, two.make)
    assert statuses(two.cache)[0] is False


def test_lanes_train_nothing(two):
    two.work = replace(two.work, training=TRAINING)
    with SecondLane() as lane:
        lane.fill_cache(two.runner, two.work, two.make)
    assert [one.reason for one in two.training] == [
        "graphs are fine-tuned when both lanes are done"
    ]


@pytest.mark.parametrize(
    "state",
    [
        {"free_bytes": (3 << 30) + 12 * WEIGHT_BYTES - 1},
        {"free_bytes": None},
        {"load_pct": 57.0},  # 1.72 of 4 cores are left
        {"is_made": True},
    ],
)
def test_without_room_or_with_graphs_that_are_there_no_child_is_asked(two, state):
    vars(two).update(state)
    with SecondLane() as lane:
        lane.get_ready(ATTO, replace(two.work.inputs.weights, status="cached"))
        lane.fill_cache(two.runner, two.work, two.make)
    assert (two.made, two.called) == ([], [])


def test_with_just_enough_room_there_is_a_child_and_its_own_load_does_not_count(two):
    two.free_bytes, two.load_pct = (3 << 30) + 12 * WEIGHT_BYTES, 56.0
    with SecondLane() as lane:
        lane.get_ready(ATTO, two.work.inputs.weights)
        two.load_pct = 90.0
        lane.fill_cache(two.runner, two.work, two.make)
    assert len(two.called) == 2


@pytest.mark.parametrize(
    ("status", "precision", "starts"),
    [("done", "int8", True), ("cached", "int8", False), ("done", "fp32", False)],
)
def test_a_child_gets_ready_where_the_weights_are_new(two, status, precision, starts):
    with SecondLane() as lane:
        recipe = ATTO.model_copy(update={"precision": precision})
        lane.get_ready(recipe, replace(two.work.inputs.weights, status=status))
        assert len(two.called) == starts
        if starts:
            lane.fill_cache(two.runner, two.work, two.make)
            assert len(two.called) == 2  # the one that is ready is called
    assert len(two.ended) == starts
