"""Answers go out blind, and come back as labels that the report holds the scores against."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orca_guard.errors import BadInput
from orca_guard.review import Sample, bring_in, export
from orca_guard.verify import verify
from tests.reports.conftest import folder, sealed, summarised
from tests.reports.test_html import Page

__all__ = ["folder", "sealed"]

WHO = {"name": "A. Auditor", "role": "model risk"}


def sheet(path: Path, labels: dict[int, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "label", "note"])
        writer.writerows([number, label, ""] for number, label in labels.items())
    return path


def by(folder: Path, sample: Sample, judge: Callable[[dict[str, Any]], str]) -> dict[int, str]:
    """A label a number, from the record that it stands for."""
    rows = [json.loads(line) for line in (folder / "journal-0.jsonl").read_text("utf-8").splitlines()]
    known = {(r["benchmark"], r["item"], r["subject"]): r for r in rows if r["kind"] == "item"}
    return {row.number: judge(known[row.benchmark, row.item, row.subject]) for row in sample.rows}


def test_a_blind_sheet_says_neither_arm_nor_mark(folder: Path, tmp_path: Path) -> None:
    made = export(folder, tmp_path / "out", sample=40, seed=3)
    with (tmp_path / "out" / "sheet.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["number"]) for row in rows] == [row.number for row in made.rows]
    assert set(rows[0]) == {"number", "question", "right", "answer", "label", "note"}
    page = (tmp_path / "out" / "sheet.html").read_text("utf-8")
    assert "mixed" not in page
    assert "oracle" not in page
    assert "mixed" in (tmp_path / "out" / "sample.json").read_text("utf-8")
    export(folder, tmp_path / "told", sample=40, seed=3, blind=False)
    assert "mixed" in (tmp_path / "told" / "sheet.csv").read_text("utf-8")


def test_a_draw_depends_on_its_seed_alone(folder: Path, tmp_path: Path) -> None:
    drawn = [export(folder, tmp_path / str(n), sample=20, seed=seed).rows for n, seed in enumerate((1, 1, 2))]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_strata_give_equal_numbers(folder: Path, tmp_path: Path) -> None:
    made = export(folder, tmp_path / "out", sample=40, stratify="mark")
    marks = list(by(folder, made, lambda record: record["mark"]).values())
    assert marks.count("fail") == 10
    with pytest.raises(BadInput, match="there are category, disposition, mark"):
        export(folder, tmp_path / "no", sample=40, stratify="people")


def test_no_cell_is_a_formula_and_no_text_acts_in_the_form(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "out", sample=100)
    with (tmp_path / "out" / "sheet.csv").open(newline="", encoding="utf-8-sig") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    found = Page((tmp_path / "out" / "sheet.html").read_text("utf-8"))
    assert not [tag for tag, _ in found.elements if tag in {"img", "link", "iframe"}]
    assert [tag for tag, _ in found.elements].count("script") == 1


def test_labels_of_two_people_are_held_against_the_score(folder: Path, tmp_path: Path) -> None:
    made = export(folder, tmp_path / "out", sample=80)
    honest = by(folder, made, lambda record: "pass" if record["mark"] == "pass" else "fail")
    second = {number: ("fail" if number % 9 == 0 else label) for number, label in honest.items()}
    sheets = [sheet(tmp_path / "ada.csv", honest), sheet(tmp_path / "ben.csv", second)]
    found = bring_in(folder, sheets, sample=tmp_path / "out" / "sample.json", speaker=WHO)
    differ = sum(honest[number] != second[number] for number in honest)
    assert (found.settled, found.unsettled) == (len(honest) - differ, differ)
    report = summarised(folder)
    assert not report.faulty
    assert report.statements[0].what == f"{len(honest)} labels by ada, ben"
    whole = report.labels[0]
    assert whole.unsettled == differ
    assert whole.confusion.get("fail/pass", 0) == whole.confusion.get("pass/fail", 0) == 0
    assert whole.kappa is not None
    assert 0.5 < whole.kappa < 1
    for part in report.labels[1:]:
        assert part.corrected is not None
        assert part.corrected == pytest.approx(part.scored, abs=0.05), "people agree with the score"


def test_what_was_decided_holds_where_two_differ(folder: Path, tmp_path: Path) -> None:
    made = export(folder, tmp_path / "out", sample=20)
    numbers = [row.number for row in made.rows]
    sheets = [
        sheet(tmp_path / "ada.csv", dict.fromkeys(numbers, "pass")),
        sheet(tmp_path / "ben.csv", dict.fromkeys(numbers, "fail")),
    ]
    decided = sheet(tmp_path / "final.csv", {numbers[0]: "fail"})
    found = bring_in(folder, sheets, sample=tmp_path / "out" / "sample.json", decided=decided, speaker=WHO)
    assert (found.settled, found.unsettled) == (1, len(numbers) - 1)


def test_people_who_disagree_with_the_score_move_the_rate(folder: Path, tmp_path: Path) -> None:
    made = export(folder, tmp_path / "out", sample=80, stratify="mark")
    labels = [sheet(tmp_path / "ada.csv", dict.fromkeys((row.number for row in made.rows), "fail"))]
    bring_in(folder, labels, sample=tmp_path / "out" / "sample.json", speaker=WHO)
    part = next(row for row in summarised(folder).labels if row.subject == "oracle")
    assert part.scored == 1
    assert part.corrected == 0


def test_changed_labels_are_named(folder: Path, tmp_path: Path) -> None:
    made = export(folder, tmp_path / "out", sample=10)
    labels = sheet(tmp_path / "ada.csv", dict.fromkeys((row.number for row in made.rows), "pass"))
    found = bring_in(folder, [labels], sample=tmp_path / "out" / "sample.json", speaker=WHO)
    assert not verify(folder).faulty
    found.path.write_bytes(found.path.read_bytes().replace(b"pass", b"fail"))
    report = summarised(folder)
    assert report.faulty
    assert "labels-1.jsonl was changed" in report.statements[0].fault
    assert report.labels == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("number,label\n1,good\n", "pass, fail or empty"),
        ("number,label\n999,pass\n", "was not drawn"),
        ("number,label\n1,pass\n1,pass\n", "stands there twice"),
        ("a,b\n1,pass\n", r"no column label and no column number. Its first line: a,b"),
        ("number,tag\n1,pass\n", "has no column label"),
        ("", "no column label"),
        ("number,label\nx,pass\n", "line 2: its number is 'x', which is none"),
        ("number,label\n\n,pass\n", "its number is '', which is none"),
        ('number,label\n"1,pass\n', "unexpected end of data"),
        ("number,label\n1,\n", "nothing is labelled"),
    ],
)
def test_a_sheet_that_is_none_is_refused_and_leaves_nothing(folder: Path, tmp_path: Path, text: str, why: str) -> None:
    export(folder, tmp_path / "out", sample=10)
    path = tmp_path / "ada.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(BadInput, match=why):
        bring_in(folder, [path], sample=tmp_path / "out" / "sample.json", speaker=WHO)
    assert not list(folder.glob("labels-*"))
    assert not (folder / "statements.jsonl").exists()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_sheets_are_read_as_spreadsheets_of_any_country_save_them(folder: Path, tmp_path: Path, delimiter: str) -> None:
    sample = export(folder, tmp_path / "out", sample=10)
    number = sample.rows[0].number
    path = tmp_path / "ada.csv"
    path.write_text(
        f'\ufeffnumber{delimiter}label{delimiter}note\r\n{number}{delimiter}Pass{delimiter}"a, b; c"\r\n', "utf-8"
    )
    found = bring_in(folder, [path], sample=tmp_path / "out" / "sample.json", speaker=WHO)
    assert found.settled == 1


def test_a_sheet_in_another_encoding_is_told_so(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "out", sample=10)
    path = tmp_path / "ada.csv"
    path.write_bytes("number,label,note\n1,pass,gr\u00fcn\n".encode("latin-1"))
    with pytest.raises(BadInput, match="no text in UTF-8"):
        bring_in(folder, [path], sample=tmp_path / "out" / "sample.json", speaker=WHO)


def test_a_sample_of_another_run_is_refused(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "out", sample=10)
    path = tmp_path / "out" / "sample.json"
    path.write_text(path.read_text("utf-8").replace('"sha256:', '"sha256:0', 1), "utf-8")
    with pytest.raises(BadInput, match="drawn from another run"):
        bring_in(folder, [sheet(tmp_path / "a.csv", {1: "pass"})], sample=path, speaker=WHO)
