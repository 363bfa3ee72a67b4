from support.example_report import example_report

from edge_convnext.report.data_table import data_rows, setting_rows


def test_data_are_listed_with_their_counts():
    rows = dict(data_rows(example_report()))
    assert (rows["training images"], rows["calibration source"]) == ("1,676", "the training side")
    assert data_rows(example_report(data=None)) == []


def test_a_long_setting_is_cut_and_its_length_told():
    settings = [
        {"name": "classes", "value": [str(n) for n in range(12)], "source": "csv", "detail": "a"},
        {"name": "image_size", "value": [64, 96], "source": "flag"},
        {"name": "labels", "value": None, "source": "default"},
    ]
    shown = setting_rows(example_report(settings=settings))
    assert shown[0] == ("classes", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... (12)", "csv (a)")
    assert shown[1:] == [("image_size", "64 x 96", "flag"), ("labels", "-", "default")]
