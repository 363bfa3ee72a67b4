import sys

from edge_convnext.devices.jetson.tools import run_tool


def test_a_tool_that_is_missing_or_hangs_is_no_error(tmp_path):
    assert run_tool(["edge-convnext-no-such-tool"]).code is None
    assert run_tool([sys.executable, "-c", "import time; time.sleep(9)"], 0.2).text == (
        "no answer in 0.2 s"
    )
    asked = run_tool([sys.executable, "-c", "input('overwrite?')"])
    assert asked.code == 1  # nobody answers
