from support.comparisons import side
from support.example_report import SHA, example_fields, example_report

from edge_convnext.report.compare.changes import find_changes, graphs_note, stage_times
from edge_convnext.report.compare.images import Paired


def changes(now, before=None, paired=None, **options):
    sides = side([], report=before or example_report()), side([], called="B", report=now, **options)
    return {
        (one.area, one.what): (one.before, one.now)
        for one in find_changes(*sides, paired or Paired(()))
    }


def test_nothing_differs_in_the_same_report():
    assert changes(example_report()) == {}


def test_fields_of_the_recipe_are_named_by_their_full_names():
    recipe = {"name": "potato", "precision": "int8", "quantize": {"subset_size": 100}, "seed": 1}
    assert changes(example_report(recipe=recipe)) == {
        ("recipe", "quantize.subset_size"): ("300", "100"),
        ("recipe", "seed"): ("-", "1"),
    }


def test_model_verdict_machine_and_versions_are_told():
    fields = example_fields()
    model = {**fields["model"], "weights": {**fields["model"]["weights"], "sha256": "f" * 64}}
    found = changes(
        example_report(
            model=model,
            environment={**fields["environment"], "cpu_model": "Neoverse", "fingerprint": "g"},
            verdict={**fields["verdict"], "ship": "fp32"},
        ),
        versions={"torch": "3"},
    )
    assert found[("model", "weights' hash")] == (SHA, "f" * 64)
    assert found[("machine", "CPU")] == ("AMD EPYC (family 26, model 2)", "Neoverse")
    assert found[("verdict", "ships")] == ("int8", "fp32")
    assert found[("versions", "torch")] == ("-", "3")


def test_graphs_differ_by_hash_and_the_first_stage_is_named():
    fields = example_fields()
    outputs = [{**one, "sha256": "a" * 64} for one in fields["outputs"][:1]]
    now = example_report(outputs=[*outputs, *fields["outputs"][1:]])
    assert changes(now)[("graphs", "model.fp32.onnx")][1].startswith("aaaaaaaaaaaa, ")
    artifact = {"path": "x", "sha256": "b" * 64, "bytes": 1}
    stages = [
        {**one, "artifact": artifact} if one["name"] == "engine" else one
        for one in fields["stages"]
    ]
    sides = [side([], report=one) for one in (example_report(), example_report(stages=stages))]
    assert graphs_note(*sides) == "The first stage whose graphs differ is engine."
    assert graphs_note(sides[0], sides[0]) == "All graphs are the same, byte for byte."
    assert graphs_note(sides[0], side([], report=now)) is None
    assert "A baseline keeps no recipe" in graphs_note(sides[0], side([]))


def test_classes_in_another_order_and_other_classes_are_told():
    before = side([], classes=("a", "b", "c"))
    (order,) = find_changes(before, side([], classes=("a", "c", "b")), Paired(()))
    assert (order.what, order.before, order.now) == (
        "order of the classes", "output 1 is 'b'", "output 1 is 'c'",
    )  # fmt: skip
    (other,) = find_changes(before, side([], classes=("a", "b", "x", "y")), Paired(()))
    assert (other.before, other.now) == ("'c'", "'x' and 1 more")


def test_images_of_one_alone_are_counted():
    found = changes(example_report(), paired=Paired((), None, 1200, 3))
    assert found == {("data", "images of one alone"): ("1,200", "3")}


def test_stages_have_the_times_of_both():
    both = side([], report=example_report())
    times = {one.name: one for one in stage_times(both, both)}
    assert (times["export"].before_s, times["quantize"].now_status) == (9.8, "cached")
    assert stage_times(both, side([])) == ()
