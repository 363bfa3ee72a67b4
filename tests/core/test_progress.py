from edge_convnext.core.progress import tell, untracked


def test_untracked_items_are_the_items_themselves(capsys):
    items = [1, 2]
    assert untracked(items, "counting", 2) is items
    assert capsys.readouterr() == ("", "")


def test_a_line_is_shown_once_where_progress_is():
    shown = []

    def track(items, what, total=None):
        shown.append((what, total))
        return items

    tell(track, "something to know")
    assert shown == [("something to know", 1)]
