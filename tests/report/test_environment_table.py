"""The table of the machine in `report.md`."""

from support.example_report import example_report

from edge_convnext.report.environment_table import environment_rows


def test_every_fact_of_the_machine_has_a_row():
    report = example_report()
    rows = dict(environment_rows(report))
    seen = report.environment
    assert rows["cpu"] == seen.cpu_model
    assert rows["cores"] == str(seen.cores)
    assert rows["made"] == report.created.isoformat(timespec="seconds")
    assert rows.items() >= seen.versions.items()
    assert ("jetson" in rows) is bool(seen.jetson)
