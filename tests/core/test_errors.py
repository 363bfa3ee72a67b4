import pytest

from edge_convnext.core.errors import reason_of


def fail_inside(message, cause):
    try:
        try:
            raise cause
        except Exception as error:
            raise RuntimeError(message) from error
    except RuntimeError as error:
        return error


def test_a_reason_has_the_error_at_the_bottom_and_no_colours():
    said = (
        "Failed to export. This is step \x1b[96m1/3\x1b[0m of exporting.\n\n(Refer to the trace.)"
    )
    error = fail_inside(said, fail_inside("in between", ValueError("Dim 'batch' \x1b[1mis fixed")))
    assert reason_of(error) == (
        "Failed to export. This is step 1/3 of exporting. (Refer to the trace.): "
        "ValueError: Dim 'batch' is fixed"
    )


def test_what_is_said_already_is_not_said_twice():
    assert reason_of(fail_inside("no: it is fixed", ValueError("it is fixed"))) == "no: it is fixed"


@pytest.mark.parametrize("depth", [0, 1])
def test_of_a_long_reason_both_ends_are_kept(depth):
    error = ValueError("begin " + "x" * 5000 + " end")
    reason = reason_of(fail_inside("it began", error) if depth else error)
    assert len(reason) < 450
    assert reason.endswith(" end")
    assert reason.startswith("it began: ValueError: begin" if depth else "begin")


def test_an_error_without_words_and_one_that_goes_round_have_a_reason():
    assert reason_of(KeyError()) == "KeyError"
    error = ValueError("round")
    error.__cause__ = OSError("and")
    error.__cause__.__cause__ = error
    assert reason_of(error).startswith("round")


def test_a_cause_that_was_hidden_on_purpose_stays_hidden():
    error = ValueError("what")
    error.__context__, error.__suppress_context__ = OSError("secret"), True
    assert reason_of(error) == "what"
