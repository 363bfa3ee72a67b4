from support.example_report import example_report

from edge_convnext.report.stage_table import seconds_text, stage_note, stage_rows
from edge_convnext.report.stages import StageReport


def with_stages(*changes):
    report = example_report()
    stages = list(report.stages)
    for place, change in changes:
        stages[place] = stages[place].model_copy(update=change)
    return report.model_copy(update={"stages": tuple(stages)})


SKIPPED = {"status": "not_run", "reason": "left to the desk", "seconds": None, "variants": (),
           "parity": None, "artifact": None}  # fmt: skip


def test_every_stage_has_its_line_in_the_order_of_the_chain():
    report = example_report()
    names = [name for name, *_ in stage_rows(report)]
    order = [stage.name for stage in report.stages]
    assert [name for name in names if name in order] == [name for name in order if name in names]


def test_stages_that_say_the_same_share_a_line_from_three_on():
    two = with_stages((0, SKIPPED), (1, SKIPPED))
    assert [row[3] for row in stage_rows(two)][:2] == ["left to the desk"] * 2
    three = with_stages((0, SKIPPED), (2, SKIPPED), (3, SKIPPED))
    rows = stage_rows(three)
    names = ", ".join(three.stages[place].name for place in (0, 2, 3))
    assert rows[0] == ("3 stages", "not_run", "", f"{names}: left to the desk")
    assert [row[0] for row in rows].count("3 stages") == 1
    assert len(rows) == len(stage_rows(example_report())) - 2 or len(rows) < len(three.stages)


def test_a_note_has_kernels_parity_and_reason():
    stage = next(one for one in example_report().stages if one.parity is not None)
    parity = stage.parity.model_copy(update={"sqnr_db": None, "max_abs_err": 0.5, "n_images": 8})
    said = stage_note(stage.model_copy(update={"parity": parity, "reason": "why", "variants": ()}))
    assert said.startswith("max error 5.0e-01, equal, agreement ")
    assert said.endswith("on 8 images; why")
    assert isinstance(stage, StageReport)


def test_seconds_are_told_where_there_are_any():
    assert seconds_text(1.44) == "1.4 s"
    assert seconds_text(None) == ""
