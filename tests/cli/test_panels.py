from edge_convnext.cli import panels


def test_every_heading_is_one_of_its_own():
    titles = [getattr(panels, name) for name in panels.__all__]
    assert len({*titles}) == len(titles)
    assert all(title[0].isupper() for title in titles)
