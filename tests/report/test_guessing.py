"""A report whose model is right less often than guessing is told apart from a weak one."""

from support.example_report import ACCURACY, example_report

from edge_convnext.report.guessing import below_guessing, warn_of_guessing


def test_only_an_interval_that_lies_wholly_below_guessing_tells():
    assert below_guessing(0, 45, 3)
    assert below_guessing(8, 45, 3)  # up to 31.3 %
    assert not below_guessing(9, 45, 3)  # up to 33.8 %
    assert not below_guessing(0, 7, 3)
    assert not below_guessing(0, 45, 1)


def test_a_report_below_guessing_is_warned_of_by_its_worst_precision():
    assert warn_of_guessing(example_report()) is None
    accuracy = {**ACCURACY, "int8": {**ACCURACY["int8"], "top1_pct": 0.0}}
    told = warn_of_guessing(example_report(accuracy=accuracy))
    assert told.startswith("INT8 is right in 0.00 % of 476 images, where guessing among 3 classes")
    fp32 = {**ACCURACY, "fp32": {**ACCURACY["fp32"], "top1_pct": 0.0}}
    assert warn_of_guessing(example_report(accuracy=fp32)).startswith("FP32 is right in 0.00 %")
