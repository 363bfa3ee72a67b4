import pytest

from edge_convnext.core.licences import LICENCES, licence_id


@pytest.mark.parametrize("known", LICENCES)
def test_a_licence_is_known_by_its_identifier_and_by_its_name(known):
    assert licence_id(known) == licence_id(LICENCES[known]) == licence_id(known.upper()) == known


@pytest.mark.parametrize("name", ["", "my own terms", "apache", "CC BY"])
def test_other_terms_are_not_guessed(name):
    assert licence_id(name) is None
