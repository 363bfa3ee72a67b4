import pytest

from edge_convnext.core.errors import RemoteError
from edge_convnext.devices.ssh.client import Host


@pytest.mark.parametrize("name", ["-oProxyCommand=touch x", "", "a b"])
def test_a_host_is_never_an_option(name):
    with pytest.raises(RemoteError, match="is no host"):
        Host(name)
