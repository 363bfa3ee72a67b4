from edge_convnext.build.tuning.changes import Change
from edge_convnext.build.tuning.hopeful import Entry, list_hopeful
from edge_convnext.measure.halving import Lap
from edge_convnext.networks.plans import Plan

PLAN = Plan("raw", "weighted", "uint8")
OWN_DB = 30.0


def test_the_fastest_for_sure_is_tried_first_then_what_looked_faster_then_the_nearest():
    def entry(group, ratio, interval, near_db=OWN_DB):
        one = Entry(Change(group, "float", 1.0, PLAN), near_db=near_db)
        one.lap = Lap(ratio, ratio, interval, 32)
        return one

    fast, faster = entry("a", 0.95, (0.9, 0.99)), entry("b", 0.9, (0.8, 0.95))
    unsure, few = entry("c", 0.8, (0.7, 1.0)), entry("d", 0.85, None)
    near, nearer = entry("e", 0.99, None, OWN_DB + 1), entry("f", 1.02, (1.0, 1.1), OWN_DB + 2)
    slower, far = entry("g", 1.01, (1.001, 1.1), OWN_DB + 9), entry("h", 0.99, (0.98, 0.995))
    untimed = Entry(Change("i", "float", 1.0, PLAN), near_db=OWN_DB + 9)
    entries = [fast, faster, unsure, few, near, nearer, slower, far, untimed]
    assert list_hopeful(entries, OWN_DB) == [faster, fast, unsure, nearer, near]
    assert list_hopeful([few, unsure, slower], OWN_DB) == [unsure, few]
