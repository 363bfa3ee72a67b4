import json
from pathlib import Path

import pytest
import typer
from support.example_report import example_report

from edge_convnext.cli.hosts import Remote, bench_over_ssh
from edge_convnext.core.errors import RecipeError
from edge_convnext.devices import ssh
from edge_convnext.devices.ssh import HostResult, RemoteSettings

UNMET = {"ship": "fp32", "passed": False, "reasons": ["Required was INT8."]}


@pytest.mark.parametrize(
    ("stated", "flag"),
    [
        ({"ssh_option": ["Port=1"]}, "--ssh-option"),
        ({"remote_command": "x"}, "--remote-command"),
        ({"keep": True}, "--keep"),
    ],
)
def test_what_is_about_another_machine_needs_one(stated, flag):
    assert Remote(**stated).stated() == [flag]
    with pytest.raises(RecipeError, match=f"{flag} is about another machine: add --host"):
        Remote(**stated).require_host()
    Remote(host=["orin"], **stated).require_host()


def test_nothing_stated_is_nothing_refused():
    assert Remote().stated() == Remote(host=["orin"]).stated() == []
    Remote().require_host()


def test_settings_have_the_flags_and_the_words_for_the_board():
    remote = Remote(["orin"], ["Port=1"], "venv/bin/x", keep=True)
    words = ["--rounds", "3"]
    assert remote.settings(words) == RemoteSettings(
        ("Port=1",), "venv/bin/x", ("--rounds", "3"), True
    )
    assert Remote().settings([]) == RemoteSettings((), "edge-convnext", (), False)


@pytest.fixture
def benched(monkeypatch, capsys):
    """Bench with these results: exit code, stdout, stderr, and the folder that was asked for."""

    def run(results, json=False, out=None):
        seen = []

        def bench_on_hosts(bundle, hosts, folder, settings, say):
            say("copying")
            seen.append(folder)
            return results

        monkeypatch.setattr(ssh, "bench_on_hosts", bench_on_hosts)
        settings = Remote().settings([])
        code = 0
        try:
            bench_over_ssh(Path("a/atto.ecb"), ["x"], out, settings, json, False)
        except typer.Exit as leaving:
            code = leaving.exit_code
        captured = capsys.readouterr()
        return code, captured.out, captured.err, seen[0]

    return run


def result(host, error=None, **fields):
    report = None if error else example_report(**fields)
    return HostResult(host, Path("board") / host, report, error)


def test_a_host_that_failed_is_exit_code_3_and_the_others_are_told(benched):
    results = [result("orin"), result("thor", "thor: no route")]
    code, out, err, folder = benched(results, json=True)
    assert (code, folder) == (3, Path("board/atto"))
    assert err == "error: thor: no route\n"
    document = json.loads(out)
    assert document["thor"] == {"error": "thor: no route"}
    assert document["orin"]["schema"] == "edge-convnext/report/3"


def test_a_requirement_that_one_host_misses_is_exit_code_1(benched):
    assert benched([result("orin")], json=True, out=Path("there"))[::3] == (0, Path("there"))
    assert benched([result("orin"), result("thor", verdict=UNMET)], json=True)[0] == 1


def test_without_a_report_there_is_no_table(benched):
    code, out, err, _ = benched([result("thor", "thor: no route")])
    assert (code, out, err) == (3, "", "copying\nerror: thor: no route\n")
