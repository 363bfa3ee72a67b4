import json

from support.checkpoints import SMALL, STATE, origins, settle_path
from support.settled_facts import NAMES, PROCESSOR, settle

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.origins import TRAINED_BY
from edge_convnext.networks.weights import save_weights


def test_the_checkpoint_comes_before_files_beside_it_and_both_are_told(tmp_path):
    settled = settle(tmp_path, {"classes": list(NAMES)}, {"labels.txt": "ant\nbee 10\nZebra\n"})
    assert settled.classes == NAMES
    assert settled.notes == (
        "beside the weights (labels.txt) has the same class names in another order than "
        "checkpoint (classes); the latter's order is used",
    )


def test_a_file_of_this_project_comes_before_what_lies_beside_it(tmp_path):
    preprocess = Preprocess(64, "shortest", 0.9)
    info = ModelInfo("convnextv2_atto", 3, 3, NAMES, preprocess, "w", "0", "MIT")
    save_weights(STATE, SMALL, info, tmp_path / "w.safetensors")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    settled = settle_path(tmp_path / "w.safetensors")
    assert (settled.classes, settled.preprocess, settled.licence) == (NAMES, preprocess, "MIT")
    assert origins(settled)["crop_pct"] == "checkpoint (edge-convnext's metadata)"
    assert any("image_size is 64 by checkpoint" in note for note in settled.notes)


def test_what_train_wrote_is_told_as_what_it_trained_with(tmp_path):
    info = ModelInfo("convnextv2_atto", 3, 3, NAMES, Preprocess(64), TRAINED_BY, "0", None)
    save_weights(STATE, SMALL, info, tmp_path / "w.safetensors")
    found = origins(settle_path(tmp_path / "w.safetensors"))
    assert {found[name] for name in ("mean", "std", "resize", "image_size", "classes")} == {
        "checkpoint (edge-convnext train)"
    }
