"""The demo's digits as a folder."""

from __future__ import annotations

import builtins
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from edge_convnext.core.errors import DataError, MissingDependencyError
from edge_convnext.core.sections import DataConfig
from edge_convnext.data import digits
from edge_convnext.data.digits import ensure_digits
from edge_convnext.data.splits import load_splits

DIGEST = "26bac8657c5c65be39b50a572b05fe71d7c83c58129b59af9a799679433334f9"


def test_the_digits_become_a_class_folder_with_the_same_bytes_everywhere(tmp_path):
    from sklearn.datasets import load_digits

    folder = ensure_digits(tmp_path / "digits")
    splits = load_splits(folder, DataConfig(), seed=0)
    assert splits.train is not None
    assert len(splits.train) + len(splits.val) == 1797
    assert splits.val.classes == tuple("0123456789")
    assert set(Counter(s.label for s in splits.val.samples).values()) <= {35, 36, 37}
    # Recorded once: files, class order and split are the same on every machine.
    assert splits.val.digest == DIGEST
    with Image.open(folder / "0" / "0000.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.rint(np.asarray(image) * (16 / 255)), load_digits().images[0])
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_digits_that_are_there_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "_write_digits", pytest.fail)
    (tmp_path / "digits").mkdir()
    assert ensure_digits(tmp_path / "digits") == tmp_path / "digits"


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(self, path, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(DataError, match="No space left"):
        ensure_digits(tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []


def test_without_scikit_learn_the_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **options):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"edge-convnext\[build\]"):
        ensure_digits(tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []
