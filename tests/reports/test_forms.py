"""Forms other than the page: each says the verdict, and none lets a text act."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from orca_guard.reports import FORMS
from orca_guard.reports.document import SCHEMA, Document, schema
from orca_guard.reports.junit import JUnit
from orca_guard.reports.markdown import Markdown, escaped
from orca_guard.reports.summary import Summary
from orca_guard.reports.terminal import Terminal
from orca_guard.reports.words import about
from orca_guard.testing import check_report_form

VERDICTS = ("pass", "fail", "inconclusive", "none", "unsealed")


def form(name: str) -> Any:
    module, _, kind = FORMS[name].partition(":")
    return getattr(import_module(f"orca_guard.reports.{module}"), kind)()


@pytest.mark.parametrize("name", FORMS)
def test_our_forms_keep_the_contract(name: str, sealed: Path, summary: Summary) -> None:
    assert form(name).name == name
    check_report_form(form(name), sealed, summary)


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("name", FORMS)
def test_every_form_can_say_every_verdict(name: str, verdict: str, sealed: Path, summary: Summary) -> None:
    bare = replace(summary, verdict=verdict, gates=(), figures=(), checks=(), excerpts=(), findings=())
    assert form(name).render(sealed, bare)


# --- terminal ----------------------------------------------------------------------------------


def test_the_terminal_needs_eighty_columns_and_no_colour(sealed: Path, summary: Summary) -> None:
    page = Terminal().render(sealed, summary)
    assert max(map(len, page.splitlines())) <= 80
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert page.splitlines()[1].startswith("│ FAIL")


def test_the_alarm_is_the_first_thing_in_a_terminal(sealed: Path, summary: Summary) -> None:
    page = Terminal().render(sealed, replace(summary, faulty=True))
    assert page.splitlines()[1].startswith("│ DOES NOT VERIFY")


# --- JSON --------------------------------------------------------------------------------------


def test_the_shipped_schema_is_that_of_the_types() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == schema(), "write it anew: python docs/build.py"


def test_the_document_keeps_to_its_schema(sealed: Path, summary: Summary) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    validator.check_schema(validator.schema)
    document = json.loads(Document().render(sealed, summary))
    validator.validate(document)
    broken = document | {"verdict": 3}
    assert not validator.is_valid(broken)
    del document["gates"]
    assert not validator.is_valid(document)


def test_the_document_says_what_the_seal_says(sealed: Path, summary: Summary) -> None:
    document = json.loads(Document().render(sealed, summary))
    seal = json.loads((sealed / "seal.json").read_bytes())
    assert document["verdict"] == seal["verdict"]
    assert [f["value"] for f in document["figures"]] == [f["value"] for f in seal["figures"]]
    assert document["run"]["plan"] == seal["plan"]


# --- Markdown ----------------------------------------------------------------------------------


def test_markdown_begins_with_the_verdict_and_has_a_row_a_gate(sealed: Path, summary: Summary) -> None:
    page = Markdown().render(sealed, summary)
    assert page.startswith("## ❌ FAIL\n")
    assert sum(line.startswith("| basics-") for line in page.split("<details>")[0].splitlines()) == len(summary.gates)
    alarmed = Markdown().render(sealed, replace(summary, faulty=True))
    assert alarmed.startswith("## ❌ DOES NOT VERIFY\n")


@pytest.mark.parametrize("text", ["<b>", "[a](http://b)", "![x](y)", "@all", "a|b", "`c`", "**d**", "www.x.org", "$x$"])
def test_markdown_of_others_is_text(text: str) -> None:
    told = escaped(text)
    assert not re.search(r"(?<!\\)[<>\[\]@|`*$]|www\.", told)
    assert re.sub(r"\\(.)", r"\1", told) == text


# --- JUnit -------------------------------------------------------------------------------------


def test_junit_has_a_case_a_gate_and_counts_what_did_not_hold(sealed: Path, summary: Summary) -> None:
    root = ET.fromstring(JUnit().render(sealed, summary))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert len(cases) == len(summary.gates) + 2
    for gate in summary.gates:
        case = cases[f"{about(gate)} {gate.bound}"]
        found = {"pass": None, "fail": "failure", "inconclusive": "error"}[gate.ruling]
        assert [child.tag for child in case if child.tag != "system-out"] == ([found] if found else [])
    for suite in root:
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))


def test_a_build_server_is_stopped_by_everything_that_is_no_pass(sealed: Path, summary: Summary) -> None:
    for verdict in VERDICTS:
        root = ET.fromstring(JUnit().render(sealed, replace(summary, verdict=verdict, gates=())))
        stopped = root.findall(".//failure") + root.findall(".//error")
        assert bool(stopped) == (verdict != "pass")
    faulty = ET.fromstring(JUnit().render(sealed, replace(summary, verdict="pass", faulty=True)))
    assert [f.get("type") for f in faulty.findall(".//failure")][-1] == "fault"
