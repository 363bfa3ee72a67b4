import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.toy_maker import NetMaker

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.outline import Axis, follow, outline_of


def test_tensors_are_told_apart_by_what_they_are():
    outline = outline_of(NetMaker(tied=True), 5, 3)
    assert outline.shapes["stem.weight"] == (8, 3, 4, 4)
    assert outline.whole == {"index", "norm.num_batches_tracked"}
    assert outline.ties == {"again.weight": "mix.weight"}
    assert outline.unsaved == {"scale"}
    assert "index" not in outline.floats


def test_axes_that_follow_classes_and_channels_are_found_without_names():
    found = follow(NetMaker(heads=2))
    assert found.heads == ("heads.0.weight", "heads.1.weight")
    assert {(one.name, one.axis) for one in found.classes} == {
        (f"heads.{n}.{kind}", 0) for n in (0, 1) for kind in ("weight", "bias")
    }
    assert [(one.name, one.axis) for one in found.channels] == [("stem.weight", 1)]
    assert follow(NetMaker(fixed=True)).channels == ()


def test_a_function_that_refuses_a_number_of_its_own_accord_has_a_fixed_one():
    class Picky(NetMaker):
        def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
            if in_channels not in (1, 3):
                raise LoadError("module:a:b failed: ValueError: colour or grey")
            return super().make(num_classes, in_channels, image_size)

    found = follow(Picky())
    assert found.channels == ()
    assert found.heads == ("heads.0.weight",)


@pytest.mark.parametrize(
    ("shape", "number"), [((3, 21), 10), ((3, 20), None), ((3, 1), None), ((3,), None)]
)
def test_a_number_is_solved_for(shape, number):
    assert Axis("a", 1, 2, 1).solve(shape) == number
