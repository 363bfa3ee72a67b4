import os

import pytest
import yaml
from support.checkpoints import REFERENCE, origins, save
from support.settled_facts import NAMES, TO_INDEX, TO_NAME, settle

from edge_convnext.core.artifacts import Preprocess


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {"id2label": TO_NAME, "label2id": TO_INDEX, "model_type": "convnextv2"}),
        ("config.json", {"architecture": "convnextv2_atto", "label_names": list(NAMES)}),
        ("class_to_idx.json", TO_INDEX),
        ("index_to_name.json", TO_NAME),
        ("class_indices.json", TO_INDEX),
        ("classmap.json", TO_INDEX),
        ("labels.txt", "\n".join(NAMES)),
        ("labels.txt", "".join(f"{i} {name}\n" for i, name in TO_NAME.items())),
        ("labels.txt", "\ufeff" + "\r\n".join(NAMES) + "\r\n"),
        ("classes.txt", "".join(f"{name}\t{i}\n" for name, i in reversed(TO_INDEX.items()))),
        ("label_map.json", {"names": list(NAMES)}),
        ("data.yaml", yaml.safe_dump({"nc": 3, "names": TO_NAME})),
        ("hparams.yaml", "class_names: !!python/tuple\n- Zebra\n- ant\n- bee 10\n"),
        ("w_classes.json", list(NAMES)),
        ("w.json", {"classes": list(NAMES)}),
        ("W-Labels.txt", "\n".join(NAMES)),
    ],
)
def test_class_names_beside_a_checkpoint_decide_the_order(tmp_path, file, content):
    settled = settle(tmp_path, beside={file: content})
    assert settled.classes == NAMES
    assert origins(settled)["classes"].startswith(f"beside the weights ({file}")
    assert settled.notes == ()


def test_what_describes_a_run_lies_above_its_checkpoints(tmp_path):
    content = yaml.safe_dump({"class_names": list(NAMES), "img_size": 96})
    settled = settle(tmp_path, beside={"hparams.yaml": content}, name="checkpoints/last.ckpt")
    assert (settled.classes, settled.preprocess.image_size) == (NAMES, 96)
    assert origins(settled)["classes"] == "beside the weights (../hparams.yaml: class_names)"


def test_a_file_beside_several_checkpoints_says_so(tmp_path):
    save(tmp_path, REFERENCE, "other.pth")
    settled = settle(tmp_path, beside={"labels.txt": "\n".join(NAMES)})
    assert (
        origins(settled)["classes"] == "beside the weights (labels.txt (shared by 2 checkpoints))"
    )


@pytest.mark.parametrize("kind", ["pipe", "device", "binary", "list", "aliases", "deep", "folder"])
def test_files_beside_that_can_not_be_read_are_told_and_do_no_harm(tmp_path, kind):
    path = tmp_path / ("hparams.yaml" if kind == "aliases" else "config.json")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {"binary": b"\xff\xfe\x00", "list": b"[1]", "deep": b"[" * 100_000,
             "aliases": b"a: &a [1]\nclasses: [*a, *a, *a]\n"}[kind]
        )  # fmt: skip
    settled = settle(tmp_path)
    assert (settled.classes, settled.preprocess) == ((), Preprocess())
    assert len(settled.notes) == (0 if kind in ("list", "folder") else 1)
