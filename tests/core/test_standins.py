import argparse
from collections import OrderedDict

import numpy as np
import pytest

from edge_convnext.core.standins import StandIn, make_stand_in, to_plain


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "builtins.eval", "subprocess.Popen", "posixpath.join", "builtins.__import__",
        "torch.nn.modules.linear.Linear", "torch.jit.ScriptModule", "pathlib.os", "shutil.rmtree",
    ],
)  # fmt: skip
def test_names_without_a_place_in_a_checkpoint_get_nothing(name):
    assert make_stand_in(name) is None


@pytest.mark.parametrize("name", ["omegaconf.DictConfig", "datetime.datetime", "decimal.Decimal"])
def test_a_class_is_held_and_never_imported(name):
    made = make_stand_in(name)
    one = made(1, 2, named=3)
    assert isinstance(one, StandIn)
    assert one.path == name
    assert one.arguments == (1, 2)
    one.__setstate__({"a": 1})
    assert to_plain(one) == {"a": 1}


def test_what_only_holds_values_is_itself():
    assert make_stand_in("argparse.Namespace") is argparse.Namespace
    assert to_plain(argparse.Namespace(lr=0.1)) == {"lr": 0.1}
    assert to_plain("text") == "text"


@pytest.mark.parametrize(("base", "empty"), [(dict, OrderedDict()), (list, [])])
def test_a_container_is_pythons_own(base, empty):
    made = make_stand_in("easydict.EasyDict", base)()
    assert made == empty
    assert type(made) is type(empty)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("pathlib.PosixPath", ("some", "where"), "some/where"),
        ("collections.deque", ([1, 2],), [1, 2]),
        ("builtins.frozenset", ([1, "a", (2,)],), {1, "a"}),
        ("collections.defaultdict", (list,), OrderedDict()),
    ],
)
def test_calls_give_plain_values(name, arguments, expected):
    assert make_stand_in(name)(*arguments) == expected


def array_of(values):
    """As NumPy pickles it: the kind and the state."""
    kind = make_stand_in("numpy.dtype")(values.dtype.str[1:])
    kind.__setstate__((3, values.dtype.str[0], None))
    array = make_stand_in("numpy.ndarray")()
    array.__setstate__((1, values.shape, kind, False, values.tobytes()))
    return array


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6, dtype="<i4").reshape(2, 3),
        np.array([1.5, 2.5], ">f8"),
        np.array(["a", "bc"]),
        np.array([True]),
    ],
)
def test_arrays_become_lists(values):
    assert to_plain(array_of(values)) == values.tolist()


def test_arrays_of_other_things_and_of_too_many_become_nothing():
    assert to_plain(array_of(np.zeros((1 << 16) + 1, np.int8))) is None
    assert to_plain(array_of(np.array([1j]))) is None
    assert to_plain(make_stand_in("numpy.ndarray")()) is None


@pytest.mark.parametrize("inner", ["_content", "_val", "_fields", "_data"])
def test_the_content_of_a_wrapper_is_found(inner):
    one = make_stand_in("omegaconf.DictConfig")()
    one.__setstate__(({inner: {"a": 1}, "_metadata": 2}, None))
    assert to_plain(one) == {"a": 1}


def test_the_names_of_an_index_are_in_its_last_argument():
    make = make_stand_in("pandas._new_Index")
    assert to_plain(make("class", {"data": ["a", "b"]})) == ["a", "b"]
    assert to_plain(make("only")) == "only"
    assert to_plain(make("one", "two")) is None
