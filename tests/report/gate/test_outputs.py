import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from support.example_report import example_fields
from support.gate_builds import make_build, sha
from support.gate_parts import (
    CRITERIA,
    result_of,
    run,
    write_build_in,
)

from edge_convnext.report.gate import outputs
from edge_convnext.report.gate.decide import gate
from edge_convnext.report.gate.limits import Limits
from edge_convnext.report.gate.outputs import (
    refusal_junit,
    to_annotations,
    to_junit,
    to_markdown,
    to_text,
)


def test_the_text_has_a_line_for_each_criterion_and_note():
    head = "             int8 top-1 95.12 %, FP32 96.50 %, 1,234 images"
    assert outputs.to_text(result_of("pass", "inconclusive"), strict=False).splitlines() == [
        head,
        r"pass         why <pass> 100%\x1b",
        r"inconclusive why <inconclusive> 100%\x1b",
        "note         a note & more",
        "Gate: inconclusive, which passes without --strict.",
    ]
    last = outputs.to_text(result_of("inconclusive"), strict=True).splitlines()[-1]
    assert last == "Gate: inconclusive, which fails under --strict."
    assert outputs.to_text(result_of("fail"), strict=True).endswith("\nGate: fail.")


def test_the_document_has_every_field_of_the_result():
    found = json.loads(json.dumps(outputs.to_json(result_of("inconclusive"), strict=True)))
    assert found == {
        "schema": "edge-convnext/gate/1", "report": "r.json", "model": "at_to", "precision": "int8",
        "n_images": 1234, "top1_pct": 95.125, "fp32_top1_pct": 96.5, "notes": ["a note & more"],
        "criteria": [
            {
                "name": "c_inconclusive", "decision": "inconclusive", "measured": 1.234,
                "interval": [0.5, 2.25], "limit": 3.0, "reason": "why <inconclusive> 100%\x1b",
            }
        ],
        "decision": "inconclusive", "strict": True, "passed": False,
    }  # fmt: skip
    assert outputs.to_json(result_of("inconclusive"), strict=False)["passed"] is True


def junit(text):
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ')
    assert text.endswith("</testsuites>\n")
    return ElementTree.fromstring(text.partition("\n")[2])


@pytest.mark.parametrize("strict", [True, False])
def test_junit_has_one_case_for_each_criterion(strict):
    root = junit(outputs.to_junit(result_of("pass", "fail", "inconclusive"), strict))
    counts = {"name": "edge-convnext gate", "tests": "3", "errors": "0"}
    failures = {"failures": "2" if strict else "1"}
    assert root.attrib == counts | failures
    (suite,) = root
    assert suite.tag == "testsuite"
    assert suite.attrib == counts | failures | {"skipped": "0" if strict else "1"}
    cases = suite.findall("testcase")
    assert [one.attrib for one in cases] == [
        {"classname": "at_to.int8", "name": f"c_{name}"}
        for name in ("pass", "fail", "inconclusive")
    ]
    assert cases[0].find("system-out").text == r"why <pass> 100%\x1b"
    assert cases[1].find("failure").attrib == {"message": r"why <fail> 100%\x1b", "type": "fail"}
    third = cases[2].find("failure" if strict else "skipped").attrib
    assert third["message"] == r"why <inconclusive> 100%\x1b"
    assert third.get("type") == ("inconclusive" if strict else None)
    assert [len(one) for one in cases] == [1, 1, 1]
    assert suite.find("system-out").text == "a note & more"
    assert (
        junit(outputs.to_junit(result_of("pass", notes=()), strict))[0].find("system-out") is None
    )


def test_markdown_shows_text_of_others_as_it_is():
    text = outputs.to_markdown(result_of("pass", "inconclusive"), strict=False)
    assert text.splitlines() == [
        "### ⚠️ edge-convnext gate: at\\_to int8",
        "",
        "int8 top-1 95.12 %, FP32 96.50 %, 1,234 images",
        "",
        "| | criterion | measured | 95 % interval | limit |",
        "|---|---|---|---|---|",
        "| ✅ pass | `c_pass` | 1.23 | 0.50 to 2.25 | 3 |",
        "| ⚠️ inconclusive | `c_inconclusive` | 1.23 | 0.50 to 2.25 | 3 |",
        "",
        "- why \\<pass\\> 100%\\\\x1b",
        "- why \\<inconclusive\\> 100%\\\\x1b",
        "- a note \\& more",
        "",
        "Gate: inconclusive, which passes without --strict.",
    ]
    assert text.endswith(".\n")
    assert outputs.to_markdown(result_of("inconclusive"), strict=True).startswith("### ❌ ")
    assert outputs.to_markdown(result_of("pass"), strict=True).startswith("### ✅ ")
    exact = replace(CRITERIA["fail"], measured=None, interval=None)
    shown = outputs.to_markdown(replace(result_of(), criteria=(exact,)), strict=True)
    assert "| ❌ fail | `c_fail` | - | - | 3 |" in shown


def test_annotations_are_commands_by_what_was_decided():
    found = outputs.to_annotations(result_of("pass", "inconclusive", "fail"), strict=False)
    assert found.splitlines() == [
        r"::notice title=edge-convnext gate c_pass::why <pass> 100%25\x1b",
        r"::warning title=edge-convnext gate c_inconclusive::why <inconclusive> 100%25\x1b",
        r"::error title=edge-convnext gate c_fail::why <fail> 100%25\x1b",
        "::notice title=edge-convnext gate::a note & more",
    ]
    assert outputs.to_annotations(result_of("inconclusive"), strict=True).startswith("::error ")


def test_a_refusal_has_its_place_in_every_format():
    root = junit(outputs.refusal_junit("no <report>\x1b"))
    counts = {"name": "edge-convnext gate", "tests": "1", "failures": "0", "errors": "1"}
    assert root.attrib == counts
    (case,) = root[0]
    assert root[0].attrib == counts | {"skipped": "0"}
    assert case.attrib == {"classname": "edge-convnext gate", "name": "report"}
    assert case.find("error").attrib == {"message": r"no <report>\x1b", "type": "refused"}
    assert outputs.refusal_markdown("no <report>") == (
        "### ❌ edge-convnext gate: refused\n\nno \\<report\\>\n"
    )
    assert (
        outputs.refusal_annotation("50% of it") == "::error title=edge-convnext gate::50%25 of it\n"
    )


# Attributes, those required first, and elements that may lie in it, of what JUnit XML has here.
_ANY = {"message", "type"}


_RULES = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        },
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), _ANY, set()),
    "error": (set(), _ANY, set()),
    "skipped": (set(), _ANY, set()),
    "system-out": (set(), set(), set()),
}


_MIXED = {"failure", "error", "skipped", "system-out"}  # may hold text


def check_junit(text):
    """By the rules of junit-10.xsd of Jenkins' xUnit plugin."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        required, optional, inside = _RULES[element.tag]
        assert required <= set(element.attrib) <= required | optional, element.tag
        assert {child.tag for child in element} <= inside
        assert element.tag in _MIXED or not (element.text or "").strip()
    return root


def test_junit_is_valid_by_the_schema_it_cites(tmp_path):
    reports = [make_build(tmp_path / str(lost), 1000, lost) for lost in (0, 4, 60)]
    limits = Limits(min_agreement_pct=99.0, max_class_drop_pp=5.0, max_size_mb=1.0)
    kinds = set()
    for report in reports:
        for strict in (True, False):
            root = check_junit(to_junit(gate(report, limits), strict))
            kinds |= {child.tag for case in root[0].iter("testcase") for child in case}
    assert kinds == {"failure", "skipped", "system-out"}
    check_junit(refusal_junit("no report"))
    unsure = ElementTree.fromstring(to_junit(gate(reports[1], Limits()), False))
    assert unsure[0].get("skipped") == "1"


HOSTILE = 'a|b<c>&"%\n::error::x\x07\x1b[2J[red]\u202e@octocat #1 ##[add-mask]x \ud800'


def test_outside_text_is_escaped_in_every_format(tmp_path):
    rows = [[sha(i), HOSTILE, HOSTILE, "1", "other", "1"] for i in range(500)]
    model = {**example_fields()["model"], "name": "atto\x1b\n"}
    build = write_build_in(tmp_path, [[*map(readable, row)] for row in rows], model=model)
    result = gate(build, Limits(None, max_class_drop_pp=1.0))
    drop, guessing = result.criteria
    assert (guessing.name, guessing.decision) == ("above_guessing_pct", "fail")
    assert "guessing would be on 33.33 %" in result.notes[0]
    result = replace(result, criteria=(replace(drop, reason=f"{HOSTILE} dropped."),), notes=())
    junit, markdown = to_junit(result, False), to_markdown(result, False)
    assert ElementTree.fromstring(junit).get("failures") == "1"
    (line,) = to_annotations(result, False).splitlines()
    assert 'a|b<c>&"%25\\x0a:\\x3aerror:\\x3ax' in line
    assert "a\\|b\\<c\\>\\&" in markdown
    assert "@octocat" not in markdown  # would be told of it
    assert "#1" not in markdown
    text = to_text(result, False)
    assert len(text.splitlines()) == 3
    for shown in (junit, markdown, line, text):
        assert not [one for one in shown if ord(one) < 32 and one != "\n"]
        assert "\u202e" not in shown
        assert "##[" not in shown
        shown.encode()  # no half of a pair
    assert "[red]" in text  # nothing reads it as a style


def readable(text):
    """A CSV holds no halves of pairs."""
    return text.replace("\ud800", "")


def test_flips_and_paths_show_no_control_characters(tmp_path):
    label = readable(HOSTILE)
    rows = [[sha(i), label, label, "1", "other", "1"] for i in range(500)]
    build = write_build_in(tmp_path / "a\x1b[2Jb", rows)
    result = run(build, "--explain", "--save-baseline", tmp_path / "b\x1b.json")
    assert result.exit_code == 1
    assert "\\x1b[2J[red]\\u202e@octocat" in result.stdout
    assert r"b\x1b.json: the gate failed" in result.stderr
    for shown in (result.stdout, result.stderr):
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert not [line for line in shown.splitlines() if line.startswith("::")]


@pytest.mark.parametrize("columns", ["80", "120", "41"])
def test_no_wrapped_line_of_a_class_name_is_a_runners_command(tmp_path, columns):
    names = [
        f"{'x' * place} ::stop-commands::{place} {'y' * place}::error::z" for place in range(60)
    ] + [f"::add-mask::{place}" for place in range(9)]
    right = [[sha(place), name, name, "1.0", name, "1.0"] for place, name in enumerate(names)]
    wrong = [[*one[:4], names[place - 1], "1.0"] for place, one in enumerate(right)]
    before, now = tmp_path / "before", tmp_path / "now"
    for folder, rows in ((before, right), (now, wrong)):
        write_build_in(folder, rows)
    kept = tmp_path / "kept.json"
    github = {"GITHUB_ACTIONS": "true", "COLUMNS": columns}
    assert run(before, "--save-baseline", kept, env=github).exit_code == 0
    found = run(now, "--explain", "--baseline", kept, env=github)
    assert "stop-commands" in found.stdout
    commands = [one for one in found.stdout.splitlines() if re.match(r"\s*::", one)]
    assert commands
    ours = r"::(notice|warning|error) title=edge-convnext gate[\w .]*::[^:]"
    assert [one for one in commands if not re.match(ours, one)] == []
