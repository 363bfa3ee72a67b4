from edge_convnext.runtimes.lint import lint_targets
from edge_convnext.runtimes.load import find_runtime
from edge_convnext.runtimes.tensorrt import classic, engines


def test_the_table_has_it_under_its_own_name():
    assert find_runtime(classic.NAME) is classic
    assert set(classic.LINT_TARGETS) <= set(lint_targets())
    assert classic.__all__ == sorted(classic.__all__)


def test_what_both_tensorrts_do_is_the_same():
    for name in engines.__all__:
        assert getattr(classic, name) is getattr(engines, name)


def test_a_desktop_has_an_extra_for_it_and_each_version_its_rules():
    assert (classic.PACKAGE, classic.EXTRA) == ("tensorrt", "desktop")
    assert classic.LINT_TARGETS == ("tensorrt10", "tensorrt8.6", "tensorrt8.5")
