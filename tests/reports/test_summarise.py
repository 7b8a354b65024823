"""The summary says what the folder says, and no more; what is damaged is passed over and counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from orca_guard.errors import BadInput
from orca_guard.journal.bundle import Bundle
from orca_guard.reports import excerpts
from orca_guard.reports.gather import gather
from orca_guard.reports.summarise import summarise
from orca_guard.reports.summary import Summary
from tests.reports.conftest import HOSTILE, summarised


def records(folder: Path) -> list[dict]:  # type: ignore[type-arg]  # JSON
    lines = (folder / "journal-0.jsonl").read_text("utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == "item"]


def test_figures_gates_and_verdict_are_those_of_the_seal(sealed: Path, summary: Summary) -> None:
    seal = Bundle(sealed).read_seal()
    assert summary.verdict == seal["verdict"] == "fail"
    told = [(f.benchmark, f.subject, f.metric, f.group, f.value, f.n) for f in summary.figures]
    keys = ("benchmark", "subject", "metric", "group", "value", "n")
    assert told == [tuple(row[key] for key in keys) for row in seal["figures"]]
    bounds = [(row["low"], row["high"]) if row["clusters"] >= 10 else (None, None) for row in seal["figures"]]
    assert [(f.low, f.high) for f in summary.figures] == bounds
    assert [(g.ruling, g.reason) for g in summary.gates] == [(g["ruling"], g["reason"]) for g in seal["gates"]]
    assert {g.bound for g in summary.gates} == {"≥ 0.5", "≥ 0.9", "≥ 0.8", "no worse than oracle by 0.6"}
    assert {g.ruling for g in summary.gates} == {"pass", "fail", "inconclusive"}


def test_accounts_are_what_counting_every_record_gives(sealed: Path, summary: Summary) -> None:
    ended: dict[tuple[str, str], Counter[str]] = {}
    marks: dict[tuple[str, str], Counter[str]] = {}
    for row in records(sealed):
        ended.setdefault((row["benchmark"], row["subject"]), Counter())[row["disposition"]] += 1
        marks.setdefault((row["benchmark"], row["subject"]), Counter())[row["mark"]] += 1
    assert {(a.benchmark, a.subject): Counter(a.dispositions) for a in summary.accounts} == ended
    assert {(a.benchmark, a.subject): +Counter(a.marks) for a in summary.accounts} == marks
    assert sum(a.new_tokens for a in summary.accounts) == sum(row["tokens"][1] for row in records(sealed))
    assert summary.run.records == summary.run.planned == len(records(sealed))
    assert not summary.strange


def test_excerpts_show_the_texts_of_their_records(sealed: Path, summary: Summary) -> None:
    hostile = [e for e in summary.excerpts if e.answer == HOSTILE.strip()]
    assert hostile
    assert all(e.question and e.gold for e in summary.excerpts)
    known = {(row["benchmark"], row["item"], row["subject"]): row for row in records(sealed)}
    for excerpt in summary.excerpts:
        row = known[excerpt.benchmark, excerpt.item, excerpt.subject]
        assert (excerpt.mark, excerpt.disposition) == (row["mark"], row["disposition"])


def test_what_is_not_among_the_excerpts_is_counted(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "MOST", 30)
    few = summarise(sealed)
    assert len(few.excerpts) < few.run.records
    assert len(few.excerpts) + sum(row.count for row in few.left_out) == few.run.records
    mixed = [e.mark for e in few.excerpts if e.subject == "mixed"]
    assert mixed.count("fail") > mixed.count("pass"), "what failed matters most"


def test_a_run_without_a_seal_has_no_figures_and_no_verdict(folder: Path) -> None:
    (folder / "seal.json").unlink()
    found = summarised(folder)
    assert (found.verdict, found.figures, found.gates, found.run.seal) == ("unsealed", (), (), "")
    assert found.accounts


def test_records_that_are_missing_are_a_finding(folder: Path) -> None:
    path = folder / "journal-0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-20]))
    found = summarised(folder)
    assert found.faulty
    assert sum(account.missing for account in found.accounts) == 20
    assert any(finding.code == "missing" for finding in found.findings)


@pytest.mark.parametrize(
    "line", [b"no JSON\n", b'{"kind":"item"}\n', b"\xff\n", b'{"kind":"other"}\n', b"[" * 5000 + b"\n"]
)
def test_a_line_that_is_no_record_is_passed_over_and_counted(folder: Path, line: bytes) -> None:
    with (folder / "journal-0.jsonl").open("ab") as file:
        file.write(line)
    found = summarised(folder)
    assert found.strange == 1
    assert found.faulty


def test_a_record_that_stands_twice_counts_once(folder: Path) -> None:
    path = folder / "journal-0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[5]]))
    gathered = gather(Bundle(folder), Bundle(folder).read_plan())
    assert gathered.strange == 1
    assert sum(c.records for t in gathered.tables.values() for c in t.columns.values()) == len(lines) - 1


def test_texts_that_were_taken_out_are_none(folder: Path) -> None:
    (folder / "texts-0.jsonl").write_bytes(b"")
    found = summarised(folder)
    assert not found.faulty
    assert all(e.question is None and e.answer is None for e in found.excerpts)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        summarise(tmp_path)


def test_benchmarks_cover_what_they_declare_and_nothing_else(summary: Summary) -> None:
    assert {row.status for f in summary.coverage for row in f.rows} == {"not covered", "partly"}
    assert len(summary.limitations) == 10
    assert not [row for row in summary.limitations if row.figure], "two arms of two models are no spread"
    assert not summary.published
