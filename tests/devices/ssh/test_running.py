import threading

import pytest

from edge_convnext.devices.ssh import running


class Bench:
    def __init__(self, line="", waits=None):
        self.line, self.waits, self.stopped = line, waits, 0

    def stop(self):
        self.stopped += 1
        if self.waits is not None:
            self.waits.wait(10)
        return self.line

    def unstopped(self):
        return f"{self.line or 'it'} was not told to stop"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(running, "_live", [])
    monkeypatch.setattr(running, "_asked", threading.Event())
    ended = []
    monkeypatch.setattr(running.ssh, "end_clients", lambda: ended.append(1))
    return ended


def test_benches_that_are_followed_are_stopped_and_what_is_left_is_told(fresh):
    quiet, loud, gone = Bench(), Bench("folder stays"), Bench("gone")
    said = []
    with running.following(gone):
        pass
    with running.following(quiet), running.following(loud):
        running.stop_all(said.append)
    assert (quiet.stopped, loud.stopped, gone.stopped) == (1, 1, 0)
    assert said == ["folder stays"]
    assert fresh == [1]


def test_a_second_call_stops_nothing_and_tells_of_each():
    bench, said = Bench("board"), []
    with running.following(bench):
        running.stop_all(lambda _: None)
        running.stop_all(said.append)
    assert bench.stopped == 1
    assert said == ["board was not told to stop"]


def test_a_board_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(running, "_PATIENCE_S", 0.05)
    release, said = threading.Event(), []
    with running.following(Bench("slow", release)), running.following(Bench("quick")):
        running.stop_all(said.append)
    release.set()
    assert said == ["slow was not told to stop", "quick"]
