from edge_convnext.core.progress import untracked


def test_untracked_items_are_the_items_themselves(capsys):
    items = [1, 2]
    assert untracked(items, "counting", 2) is items
    assert capsys.readouterr() == ("", "")
