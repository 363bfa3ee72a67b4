import pytest

from edge_convnext.data.split_names import choose_sides, have_pairs, split_kind, split_words


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("train", "train"), ("Training", "train"), ("train_images", "train"), ("trainset", "train"),
        ("train-v2", "train"), ("entrenamiento", "train"), ("Trainingsdaten", "train"),
        ("训练集", "train"), ("обучение", "train"), ("val2017", "val"), ("dev", "val"),
        ("validación", "val"), ("held_out", "test"), ("hold-out", "test"), ("unlabeled", "unused"),
        ("tr", None), ("seg_train", None), ("train_val", None), ("cat", None), ("", None),
    ],
)  # fmt: skip
def test_a_name_is_a_side_in_any_spelling(name, kind):
    assert split_kind(name) == kind


@pytest.mark.parametrize(
    ("names", "sides"),
    [
        (["train", "val", "test"], {"train": "train", "val": "val"}),
        (["train", "test"], {"train": "train", "test": "val"}),
        (["tr", "te"], {"tr": "train", "te": "val"}),
        (["seg_train", "seg_test", "seg_pred"], {"seg_train": "train", "seg_test": "val"}),
        (["tr", "en", "de"], {}),
        (["dev", "test"], {"dev": "val"}),
        (["dev", "val"], {"dev": "train", "val": "val"}),
        (["cat", "dog"], {}),
        (["train", "cat"], {"train": "train"}),
    ],
)
def test_siblings_settle_what_a_word_means(names, sides):
    assert choose_sides(names) == sides


def test_two_pairs_of_sides_are_told_from_one():
    assert have_pairs(["x_train", "x_test"])
    assert not have_pairs(["x_train", "y_test"])
    assert split_words(["x_train", "cat", "predictions"]) == {"x_train": "train"}
