"""An alias is refused by every loader that is built with `NoAliases`, and nothing else is."""

import pytest
import yaml

from edge_convnext.core.plain_yaml import NoAliases


class Safe(NoAliases, yaml.SafeLoader):
    pass


class Base(NoAliases, yaml.BaseLoader):
    pass


@pytest.mark.parametrize("loader", [Safe, Base])
def test_an_alias_is_an_error_with_its_line(loader):
    with pytest.raises(yaml.YAMLError, match=r"line 3: it has aliases"):
        yaml.load("a: &x [1]\nb: 2\nc: *x\n", loader)


def test_values_without_aliases_are_those_of_the_loader():
    assert yaml.load("a: &x [1, no]\n", Safe) == {"a": [1, False]}  # an anchor alone is harmless
    assert yaml.load("a: [1, no]\n", Base) == {"a": ["1", "no"]}
