import pytest
import typer

from edge_convnext.cli.requirement import Required
from edge_convnext.report.verdict import Requirement


def test_of_two_requirements_one_is_refused():
    Required("int8").refuse_both()
    Required(None, "int8").refuse_both()
    with pytest.raises(typer.BadParameter, match="pass one of them"):
        Required("int8", "int8").refuse_both()


def test_each_requirement_is_what_the_library_and_another_machine_get():
    assert Required().requirement() is None
    assert Required("int8").requirement() == Requirement.of("int8", None)
    assert Required(None, "fp16").requirement() == Requirement.of(None, "fp16")
    assert Required().words() == []
    assert Required("int8").words() == ["--require", "int8"]
    assert Required(None, "fp16").words() == ["--require-likely", "fp16"]
