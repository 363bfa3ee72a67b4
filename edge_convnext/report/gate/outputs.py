"""A gate's result as the formats that CI systems read.

Text from outside (class names, paths) is escaped by the rules of each format. `printable` comes
first, so no format gets control characters.
"""

from __future__ import annotations

from dataclasses import asdict
from xml.etree import ElementTree

from edge_convnext.core.text import escape_markdown, printable
from edge_convnext.report.gate.criteria import Criterion, Decision
from edge_convnext.report.gate.decide import GateResult

__all__ = [
    "refusal_annotation",
    "refusal_junit",
    "refusal_markdown",
    "to_annotations",
    "to_json",
    "to_junit",
    "to_markdown",
    "to_text",
]

_SCHEMA = "edge-convnext/gate/1"
_SUITE = "edge-convnext gate"
_SIGNS: dict[Decision, str] = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️"}
_COMMANDS: dict[Decision, str] = {"pass": "notice", "fail": "error", "inconclusive": "warning"}


def to_text(result: GateResult, strict: bool) -> str:
    """Lines for a terminal."""
    lines = [f"{'':<12} {_top1(result)}"]
    lines += [f"{one.decision:<12} {printable(one.reason)}" for one in result.criteria]
    lines += [f"{'note':<12} {printable(note)}" for note in result.notes]
    return "\n".join([*lines, _outcome(result, strict)])


def to_json(result: GateResult, strict: bool) -> dict[str, object]:
    """Plain values of schema `edge-convnext/gate/1`."""
    return {
        "schema": _SCHEMA,
        **asdict(result),
        "decision": result.decision,
        "strict": strict,
        "passed": result.passed(strict),
    }


def to_junit(result: GateResult, strict: bool) -> str:
    """JUnit XML as GitLab, Jenkins and GitHub's reporters read it: one case per criterion.

    An inconclusive criterion is `skipped`, which readers show apart from passed ones. With
    `strict` it is a failure.

    Source:
        The de facto schema of the Jenkins xUnit plugin, junit-10.xsd.
    """
    failed = [one for one in result.criteria if not _passes(one, strict)]
    skipped = [one for one in result.criteria if one.decision == "inconclusive"]
    root, suite = _suite(
        tests=len(result.criteria), failures=len(failed), skipped=0 if strict else len(skipped)
    )
    for one in result.criteria:
        model = printable(result.model)
        names = {"classname": f"{model}.{result.precision}", "name": one.name}
        case = ElementTree.SubElement(suite, "testcase", names)
        if not _passes(one, strict):
            kind = {"message": printable(one.reason), "type": one.decision}
            ElementTree.SubElement(case, "failure", kind)
        elif one.decision == "inconclusive":
            ElementTree.SubElement(case, "skipped", {"message": printable(one.reason)})
        else:
            ElementTree.SubElement(case, "system-out").text = printable(one.reason)
    if result.notes:
        ElementTree.SubElement(suite, "system-out").text = printable(" ".join(result.notes))
    return _xml(root)


def to_markdown(result: GateResult, strict: bool) -> str:
    """For a step summary or a pull request's comment."""
    model = escape_markdown(result.model)
    lines = [
        f"### {_SIGNS[_final(result, strict)]} {_SUITE}: {model} {result.precision}",
        "",
        _top1(result),
        "",
        "| | criterion | measured | 95 % interval | limit |",
        "|---|---|---|---|---|",
    ]
    for one in result.criteria:
        interval = (
            "-" if one.interval is None else f"{one.interval[0]:.2f} to {one.interval[1]:.2f}"
        )
        measured = "-" if one.measured is None else f"{one.measured:.2f}"
        sign = f"{_SIGNS[one.decision]} {one.decision}"
        lines.append(f"| {sign} | `{one.name}` | {measured} | {interval} | {one.limit:g} |")
    lines += [
        "",
        *(
            f"- {escape_markdown(text)}"
            for text in (*(one.reason for one in result.criteria), *result.notes)
        ),
        "",
        _outcome(result, strict),
    ]
    return "\n".join(lines) + "\n"


def to_annotations(result: GateResult, strict: bool) -> str:
    """GitHub's workflow commands, one line per criterion; printed on stdout they annotate a run.

    Source:
        GitHub Docs, "Workflow commands for GitHub Actions".
    """
    lines = []
    for one in result.criteria:
        command = "error" if not _passes(one, strict) else _COMMANDS[one.decision]
        lines.append(f"::{command} title={_SUITE} {one.name}::{_message(one.reason)}")
    lines += [f"::notice title={_SUITE}::{_message(note)}" for note in result.notes]
    return "\n".join(lines) + "\n"


def _top1(result: GateResult) -> str:
    return (
        f"{result.precision} top-1 {result.top1_pct:.2f} %, FP32 {result.fp32_top1_pct:.2f} %, "
        f"{result.n_images:,} images"
    )


def _message(text: str) -> str:
    return printable(text).replace("%", "%25")  # it has no line ends


def _passes(one: Criterion, strict: bool) -> bool:
    return one.decision == "pass" or (one.decision == "inconclusive" and not strict)


def _final(result: GateResult, strict: bool) -> Decision:
    return result.decision if result.passed(strict) else "fail"


def _outcome(result: GateResult, strict: bool) -> str:
    text = f"Gate: {result.decision}"
    if result.decision == "inconclusive":
        text += ", which fails under --strict" if strict else ", which passes without --strict"
    return f"{text}."


def refusal_junit(reason: str) -> str:
    """JUnit XML of a report that could not be gated at all: one case, in error."""
    root, suite = _suite(tests=1, errors=1)
    case = ElementTree.SubElement(suite, "testcase", {"classname": _SUITE, "name": "report"})
    ElementTree.SubElement(case, "error", {"message": printable(reason), "type": "refused"})
    return _xml(root)


def refusal_markdown(reason: str) -> str:
    """The same, for a step summary or a comment."""
    return f"### {_SIGNS['fail']} {_SUITE}: refused\n\n{escape_markdown(reason)}\n"


def refusal_annotation(reason: str) -> str:
    """The same, as GitHub's workflow command."""
    return f"::error title={_SUITE}::{_message(reason)}\n"


def _suite(
    tests: int, failures: int = 0, errors: int = 0, skipped: int = 0
) -> tuple[ElementTree.Element, ElementTree.Element]:
    """The document and its one suite, without cases yet."""
    numbers = {"tests": tests, "failures": failures, "errors": errors, "skipped": skipped}
    counts = {"name": _SUITE, **{name: str(count) for name, count in numbers.items()}}
    of_all = {
        name: count for name, count in counts.items() if name != "skipped"
    }  # as the schema states
    root = ElementTree.Element("testsuites", of_all)
    return root, ElementTree.SubElement(root, "testsuite", counts)


def _xml(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    body: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'
