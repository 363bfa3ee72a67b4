from edge_convnext.build.tuning.board.values import BoardAim


def test_a_quick_search_ends_by_itself_and_a_full_one_where_it_is_told():
    assert BoardAim("cpu").limit == 10.0
    assert BoardAim("tensorrt").limit == 30.0  # engines take minutes to build
    assert BoardAim("cpu", full=True).limit is None
    assert BoardAim("cpu", full=True, minutes=3.0).limit == 3.0
