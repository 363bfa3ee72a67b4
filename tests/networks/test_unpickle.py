import argparse
import collections
import contextlib
import dataclasses
import datetime
import decimal
import os
import pathlib
import sys
import types

import numpy as np
import pytest
import torch
from support.checkpoints import REFERENCE, save, settle_path

from edge_convnext.core.errors import LoadError
from edge_convnext.core.standins import to_plain
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.unpickle import read_torch


def refuse(path):
    with pytest.raises(LoadError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path.parent))
    return str(caught.value)


@dataclasses.dataclass
class Settings:
    """A class of a training script."""

    img_size: int = 96
    classes: tuple = ("a", "b", "c")


class Ordered(dict):
    """A mapping of a library, as EasyDict is."""


@pytest.fixture
def elsewhere(monkeypatch):
    """Classes of a module that is not here when the file is read."""
    module = types.ModuleType("fancy_config")
    for one in (Settings, Ordered):
        monkeypatch.setattr(one, "__module__", "fancy_config")
        setattr(module, one.__name__, one)
    monkeypatch.setitem(sys.modules, "fancy_config", module)


@pytest.mark.parametrize("new", [True, False])
def test_values_beside_tensors_are_kept_without_their_classes(tmp_path, elsewhere, new):
    content = {
        "w": torch.ones(2),
        "score": np.float64(96.5),
        "counts": np.array([[1, 2], [3, 4]]),
        "texts": np.array(["a", "bc"]),
        "objects": np.array(["a", None], dtype=object),
        "path": pathlib.PurePosixPath("some/where"),
        "when": datetime.datetime(2026, 1, 1),
        "history": collections.defaultdict(list, {"acc": [1.0]}),
        "args": argparse.Namespace(lr=0.1),
        "exact": decimal.Decimal("1.5"),
        "settings": Settings(),
        "nested": Ordered(a=Ordered(b=1)),
    }
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    found, names = read_torch(tmp_path / "w.pth")
    plain = {key: to_plain(value) for key, value in found.items() if key != "w"}
    assert plain["score"] == 96.5
    assert plain["counts"] == [[1, 2], [3, 4]]
    assert plain["texts"] == ["a", "bc"]
    assert plain["objects"] == ["a", None]
    assert plain["path"] == "some/where"
    assert plain["history"] == {"acc": [1.0]}
    assert plain["args"] == {"lr": 0.1}
    assert plain["settings"] == {"img_size": 96, "classes": ("a", "b", "c")}
    assert plain["nested"] == {"a": {"b": 1}}
    assert "fancy_config.Settings" in names


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        Call(os.mkdir, "ran"), Call(eval, "1"), Call(__import__, "os"), Call(getattr, 1, "real"),
        Call(pathlib.Path("ran").mkdir), Call(np.save, "ran", 1), Call(torch.save, 1, "ran"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("new", [True, False])
def test_no_call_in_a_checkpoint_is_made(tmp_path, monkeypatch, call, new):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": REFERENCE, "x": call}, "w.pth", _use_new_zipfile_serialization=new)
    with contextlib.suppress(LoadError):
        read_torch(pathlib.Path("w.pth"))
    assert [one.name for one in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("new", [True, False])
def test_a_call_of_what_a_file_names_is_refused_as_one(tmp_path, new):
    call = Call(pathlib.Path("ran").mkdir)
    torch.save({"x": call}, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    assert "an object that a call would make" in refuse(tmp_path / "w.pth")


def test_settings_of_a_class_that_is_not_here_are_read(tmp_path, elsewhere):
    path = save(tmp_path, {"model": REFERENCE, "cfg": Settings(), "x": np.float64(1)})
    settled = settle_path(path)
    assert settled.classes == ("a", "b", "c")
    assert settled.preprocess.image_size == 96
