"""The gates as JUnit XML, for the page of a build server: a suite a benchmark, a case a gate."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from orca_guard.reports import words
from orca_guard.reports.hostile import shown
from orca_guard.reports.summary import Gate, Summary

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnit:
    """`--format junit`."""

    name = "junit"
    summary = "gates as tests, for a build server"
    suffix = "xml"

    def render(self, _run: Path, report: Summary, /) -> str:
        """The file. A gate without enough evidence fails here: a build server knows no third way that stops it."""
        root = Element("testsuites", name=_text(report.run.title or report.run.folder))
        for benchmark, gates in groupby(sorted(report.gates, key=_benchmark), key=_benchmark):
            suite = SubElement(root, "testsuite", name=_text(benchmark))
            for gate in gates:
                _case(suite, gate)
        _run_case(root, report)
        for suite in root:
            _count(suite)
        indent(root)
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _benchmark(gate: Gate) -> str:
    return gate.benchmark


def _text(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", shown(text))


def _case(suite: Element, gate: Gate) -> None:
    case = SubElement(
        suite, "testcase", classname=_text(gate.benchmark), name=_text(f"{words.about(gate)} {gate.bound}")
    )
    if gate.ruling == "fail":
        SubElement(case, "failure", type="fail", message=_text(gate.reason))
    elif gate.ruling != "pass":
        SubElement(case, "error", type="inconclusive", message=_text(gate.reason))
    told = f"{words.percent(gate.value)}, {words.interval(gate.low, gate.high)}"
    if gate.waived:
        told += f"; waived: {gate.waived}"
    SubElement(case, "system-out").text = _text(told)


def _run_case(root: Element, report: Summary) -> None:
    """The run itself: whether it verifies and is complete, and what its gates say together."""
    suite = SubElement(root, "testsuite", name="run")
    verified = SubElement(suite, "testcase", classname="run", name="verifies")
    if alarm := words.alarm(report):
        SubElement(verified, "failure", type="fault", message=_text(alarm.sentence))
    elif not report.checks:
        SubElement(verified, "skipped", message="not verified when this was made")
    judged = SubElement(suite, "testcase", classname="run", name="verdict")
    head = words.headline(report)
    if report.verdict == "fail":
        SubElement(judged, "failure", type=report.verdict, message=_text(head.sentence))
    elif report.verdict != "pass":
        SubElement(judged, "error", type=_text(report.verdict), message=_text(head.sentence))


def _count(suite: Element) -> None:
    cases = suite.findall("testcase")
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("tests", str(len(cases)))
