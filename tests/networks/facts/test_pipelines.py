from support.settled_facts import HALF, settle

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.networks.facts.pipelines import read_pipeline


def test_transforms_of_albumentations_are_read_as_a_whole(tmp_path):
    steps = [
        {"__class_fullname__": "Resize", "height": 128, "width": 128, "interpolation": 1},
        {"__class_fullname__": "Normalize", "mean": HALF, "std": [0.25] * 3},
    ]
    settled = settle(tmp_path, {"transform": {"transform": {"transforms": steps}}})
    expected = Preprocess(128, "squash", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3)
    assert (settled.preprocess, settled.notes) == (expected, ())


def read(*steps):
    said = read_pipeline(steps, "pipeline")
    return {one.name: one.value for one in said.sayings}, said.notes


def test_a_rectangle_in_a_list_of_transforms_has_its_sides_where_they_belong():
    named = {"__class_fullname__": "Resize", "height": 64, "width": 96, "interpolation": 1}
    assert read(named)[0]["image_size"] == (64, 96)
    openmmlab = {"type": "Resize", "scale": (96, 64)}  # the width first
    assert read(openmmlab)[0]["image_size"] == (64, 96)
    torchvision = {"__class_fullname__": "torchvision.transforms.Resize", "size": [64, 96]}
    found, _ = read(torchvision)
    assert (found["image_size"], found["resize"]) == ((64, 96), "squash")


def test_a_crop_that_does_not_say_which_side_is_which_is_told_and_not_used():
    found, notes = read(
        {"type": "ResizeEdge", "scale": 80}, {"type": "CenterCrop", "crop_size": (96, 64)}
    )
    assert "image_size" not in found
    assert "not which is the height" in notes[0]
    found, _ = read(
        {"type": "ResizeEdge", "scale": 80}, {"type": "CenterCrop", "crop_size": (64, 64)}
    )
    assert (found["image_size"], found["crop_pct"]) == (64, 0.8)
    assert read({"type": "Resize", "scale": 64}, {"type": "CenterCrop", "crop_size": ()})[0] == {}
