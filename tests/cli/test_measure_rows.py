from edge_convnext.cli.measure_rows import MEASURE_ROWS
from edge_convnext.cli.options import FLAGS


def test_every_row_is_in_the_table_and_of_its_sections():
    for row in MEASURE_ROWS:
        assert FLAGS[row.field] is row
        assert row.field.partition(".")[0] in ("benchmark", "evaluate")
