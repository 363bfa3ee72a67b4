from edge_convnext.runtimes.lint import lint_targets
from edge_convnext.runtimes.load import find_runtime
from edge_convnext.runtimes.tensorrt import engines, rtx


def test_the_table_has_it_under_its_own_name():
    assert find_runtime(rtx.NAME) is rtx
    assert set(rtx.LINT_TARGETS) <= set(lint_targets())
    assert rtx.__all__ == sorted(rtx.__all__)


def test_what_both_tensorrts_do_is_the_same():
    for name in engines.__all__:
        assert getattr(rtx, name) is getattr(engines, name)


def test_it_comes_with_an_extra_of_its_own():
    assert (rtx.PACKAGE, rtx.EXTRA, rtx.LINT_TARGETS) == ("tensorrt_rtx", "rtx", ("rtx",))
