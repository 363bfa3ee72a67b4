import subprocess
import sys

import pytest

from edge_convnext.core.cache_folder import default_cache_folder
from edge_convnext.core.errors import ArtifactError


def test_the_environment_names_the_folder(tmp_path):
    assert default_cache_folder({"EDGE_CONVNEXT_CACHE": str(tmp_path)}) == tmp_path
    assert default_cache_folder({}).name == "edge-convnext"


def test_without_a_home_it_is_said_what_to_set():
    with pytest.raises(ArtifactError, match="set EDGE_CONVNEXT_CACHE to a folder by its full path"):
        default_cache_folder({"EDGE_CONVNEXT_CACHE": "~nobody-of-this-name/cache"})


def test_help_reads_no_cache_and_no_versions_of_packages():
    code = (
        "import sys; sys.argv = ['edge-convnext', '--help']\n"
        "import edge_convnext.cli\n"
        "slow = {'edge_convnext.core.cache', 'importlib.metadata', 'email', 'pydantic'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
