import pytest
from support.checkpoints import REFERENCE, origins, save, settle_path
from support.settled_facts import HALVES, NAMES, SETTINGS, TO_INDEX, TO_NAME, settle

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.networks.facts.name_files import parse_names


@pytest.mark.parametrize(
    "file",
    [
        "preprocessing.json", "train-args.json", "mean_std.json", "w_preprocess.json",
        "dataset_stats.yaml", "model_metadata.json", "best_model_cfg.yml", ".hydra/config.yaml",
        "inference.json",
    ],
)  # fmt: skip
def test_settings_beside_are_found_by_the_words_of_the_files_name(tmp_path, file):
    settled = settle(tmp_path, beside={file: SETTINGS})
    assert (settled.preprocess, settled.notes) == (HALVES, ())
    assert file in origins(settled)["mean"]


@pytest.mark.parametrize("file", ["resnet_config.json", "metrics.json", "w.log.json"])
def test_files_of_other_words_are_left_alone(tmp_path, file):
    settled = settle(tmp_path, beside={file: SETTINGS})
    assert (settled.preprocess, settled.notes) == (Preprocess(), ())


def test_a_file_that_is_named_after_another_checkpoint_is_of_that_one(tmp_path):
    save(tmp_path, REFERENCE, "best.pth")
    beside = {"best_config.json": SETTINGS, "best_label_names.json": NAMES}
    settled = settle(tmp_path, beside=beside, name="last.pth")
    assert (settled.preprocess, settled.classes) == (Preprocess(), ())
    assert settle_path(tmp_path / "best.pth").classes == NAMES


LINES = "\n".join(NAMES)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("label_encoder.json", TO_INDEX),
        ("class-names.json", NAMES),
        ("imagenet_class_index.json", {str(i): [f"n{i}", name] for i, name in TO_NAME.items()}),
        ("index_to_class.json", TO_NAME),
        ("synset.txt", LINES.encode()),
        ("obj.names", LINES.encode()),
        ("w_label_names.txt", LINES.encode()),
        ("labels.txt", LINES.encode("utf-16")),
        ("labels.txt", f"# three classes\n{LINES}\n".encode()),
        ("classes.txt", ",".join(NAMES).encode()),
        ("classes.txt", repr(list(NAMES)).encode()),
        ("class_to_idx.txt", repr(TO_INDEX).encode()),
        ("classes.csv", b"index,name\n1,ant\n0,Zebra\n2,bee 10\n"),
        ("class_dict.csv", b"name,r,g,b\nZebra,1,2,3\nant,4,5,6\nbee 10,7,8,9\n"),
        ("label_map.pbtxt", b"".join(
            b"item {\n  id: %d\n  name: '%s'\n}\n" % (i + 1, name.encode())
            for i, name in TO_NAME.items())),
    ],
)  # fmt: skip
def test_class_names_beside_are_found_and_read_in_peoples_own_forms(tmp_path, file, content):
    settled = settle(tmp_path, beside={file: content})
    assert (settled.classes, settled.notes) == (NAMES, ())
    assert origins(settled)["classes"] == f"beside the weights ({file})"


@pytest.mark.parametrize(
    ("text", "suffix"),
    [("item { id: 1 }", ".pbtxt"), ("name,index\n", ".csv"), ("name,index\na\n", ".csv"),
     ("[1, f()]", ".txt"), ('name,index\n"a', ".csv")],
)  # fmt: skip
def test_what_holds_no_names_ends_in_other_lines(text, suffix):
    assert "f" not in parse_names(text, suffix)
