import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.core.errors import LoadError, RecipeError
from edge_convnext.networks.own_modules import code
from edge_convnext.networks.own_modules.code import CodeMaker, consent, read_target, require_consent

GOOD = """
from torch import nn

def make(num_classes=5, in_chans=3):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_chans, num_classes))

def fixed():
    return make()

def wide(**options):
    return make(**options)

class Places:
    make = staticmethod(make)

def none():
    pass

def number():
    return 3

def breaks():
    raise ValueError("no such depth")

def ends():
    raise SystemExit(2)

WORD = "text"
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder that the command runs in, with nothing consented and nothing imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "_CONSENTED", set())
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    yield tmp_path
    for name in [one for one in sys.modules if one.split(".")[0].startswith("own_")]:
        del sys.modules[name]


def write(folder, name, text):
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def maker(target):
    consent(target)
    return CodeMaker(read_target(target))


def test_code_runs_only_where_the_command_names_it(here):
    write(here, "own_quiet", "raise RuntimeError('it ran')")
    one = CodeMaker("own_quiet:make")
    for use in (lambda: one.make(5, 3), one.fingerprint):
        with pytest.raises(RecipeError, match=r"pass --model module:own_quiet:make"):
            use()
    assert "own_quiet" not in sys.modules
    consent("module:own_quiet:other")
    with pytest.raises(RecipeError, match="is run only where the command itself names it"):
        require_consent("own_quiet:make")


def test_a_function_gets_the_keywords_that_it_has(here):
    write(here, "own_good", GOOD)
    for function in ("make", "Places.make"):
        made = maker(f"module:own_good:{function}").make(9, 4)
        assert made(torch.zeros(1, 4, 2, 2)).shape == (1, 9)
    assert maker("module:own_good:wide").make(9, 3)(torch.zeros(1, 3, 2, 2)).shape == (1, 9)
    fixed = maker("module:own_good:fixed")
    assert fixed.make(9, 3)(torch.zeros(1, 3, 2, 2)).shape == (1, 5)
    assert str(here) not in sys.path


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("own_good:none", "returned None, not a torch.nn.Module"),
        ("own_good:number", "returned an int, not a torch.nn.Module"),
        ("own_good:WORD", "is a str, and can't be called"),
        ("own_good:mk", "own_good has no 'mk'; in it: make, fixed, wide"),
        ("own_good:breaks", r"failed: ValueError: no such depth \(.*own_good\.py, line 23\)"),
        ("own_good:ends", r"its code ended the program \(exit 2\)"),
        ("own_gone:make", "there is no module 'own_gone' to import; run the command in the folder"),
        ("own_good.deeper:make", "own_good.deeper:make"),
        ("own_needs:make", "can't be imported: ModuleNotFoundError: No module named 'own_absent'"),
        ("own_typo:make", r"can't be imported: SyntaxError: .*own_typo\.py, line 2\)"),
        ("own_late:make", r"ZeroDivisionError: .*own_late\.py, line 1\)"),
    ],
)
def test_what_goes_wrong_is_told_with_its_place(here, target, words):
    write(here, "own_good", GOOD)
    write(here, "own_needs", "import own_absent")
    write(here, "own_typo", "x = 1\nreturn (")
    write(here, "own_late", "1 / 0")
    with pytest.raises(LoadError, match=words) as caught:
        maker(f"module:{target}").make(5, 3)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"module:{target}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("module:net.py:make", "did you mean 'module:net:make'"),
        ("module:nets/small.py:make", "did you mean 'module:nets.small:make'"),
        ("module:net", "is named module:package.file:function"),
        ("module::make", "is named module:package.file:function"),
        ("module:os;print:make", "is named module:package.file:function"),
        ("module:a-b:make", "is named module:package.file:function"),
    ],
)
def test_a_name_has_a_module_and_a_function(name, words):
    with pytest.raises(RecipeError, match=words):
        read_target(name)
    assert read_target("module:a.b:C.d") == "a.b:C.d"


def test_a_changed_source_changes_the_fingerprint(here):
    path = write(here, "own_first", GOOD)
    one = maker("module:own_first:make")
    before = one.fingerprint()
    assert one.fingerprint() == before
    path.write_text(path.read_text() + "\n# another line\n")
    assert one.fingerprint() != before


def test_importing_the_module_runs_no_code_and_needs_no_torch():
    text = (
        "import sys; from edge_convnext.networks.own_modules.code import read_target; "
        "read_target('module:a:b'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
