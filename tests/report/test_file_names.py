from edge_convnext.report import folder
from edge_convnext.report.file_names import REPORT


def test_the_folder_of_a_build_has_the_report_by_its_name():
    assert folder.REPORT is REPORT
    assert REPORT == "report.json"
