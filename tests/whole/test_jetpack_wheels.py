"""README's lines for a Jetson, held to the wheels that the index has for it."""

import json
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from support.jetpack_wheels import BESIDE, PYTHON, ROOT, WHEELS, requirements

CONTENT = json.loads(WHEELS.read_text("utf-8"))
FOUND = {one["name"]: one for one in CONTENT["wheels"]}
README = (ROOT / "edge_convnext" / "devices" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("stated", requirements())
def test_what_the_package_needs_has_a_wheel_there(stated):
    needed = Requirement(stated)
    found = FOUND[canonicalize_name(needed.name)]
    assert needed.specifier.contains(Version(found["version"]))


@pytest.mark.parametrize("name", FOUND)
def test_each_wheel_is_for_the_python_and_the_machine(name):
    found = FOUND[name]
    wheel, version, _, tags = parse_wheel_filename(found["file"])
    assert (wheel, str(version)) == (canonicalize_name(name), found["version"])
    machines = {tag.platform.rpartition("_")[2] for tag in tags}
    assert machines <= {"aarch64", "any"}
    number = PYTHON.replace(".", "")
    assert {tag.interpreter for tag in tags} & {f"cp{number}", "py3", f"py{number}"}


def test_the_lines_of_the_readme_are_those_that_were_asked_for():
    (block,) = re.findall(r"```sh\n(sudo apt-get .*?)```", README, re.DOTALL)
    lines = block.splitlines()
    assert f"python{PYTHON}-venv" in lines[0]
    assert f"python{PYTHON} -m venv --system-site-packages" in lines[1]
    assert lines[2] == "pip install 'edge-convnext[openvino]' " + " ".join(map(repr, BESIDE))
