"""What people said of a sample of answers, held against what the score said."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from orca_guard.journal.bundle import Bundle
from orca_guard.journal.reading import raw_lines
from orca_guard.journal.statements import Stated
from orca_guard.reports.agreement import Scored, corrected, kappa
from orca_guard.reports.gather import DISPOSITIONS, MARKS, NOT_SEEN, Gathered, Table
from orca_guard.reports.summary import Labels

VALUES = {"pass": 1.0, "fail": 0.0}


class LabelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `labels-N.jsonl`.

    Attributes:
        benchmark, item, subject: of which record.
        labels: who → `pass` or `fail`.
        final: what holds: the one label, what two agree on, or what was decided; null where they differ.
    """

    benchmark: str
    item: str
    subject: str
    labels: dict[str, str]
    final: str | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Labels that were stated, and how their sample was drawn."""

    rows: tuple[LabelRow, ...]
    stratify: str
    seed: int


def strata_of(table: Table, subject: str, key: str) -> list[str]:
    """By position: where a record belongs when a sample is drawn by `mark`, `disposition`, or a key of items' groups.

    An empty key, and a record that is not here, belong nowhere in particular.
    """
    column = table.columns[subject]
    if key == "mark":
        return [MARKS[number].value if number != NOT_SEEN else "" for number in column.mark]
    if key == "disposition":
        return [DISPOSITIONS[number].value if number != NOT_SEEN else "" for number in column.disposition]
    strata = [""] * len(column.mark)
    for value, positions in table.groups.get(key, {}).items():
        for at in positions:
            strata[at] = value
    return strata


def labels_of(bundle: Bundle, gathered: Gathered, said: Sequence[Stated]) -> tuple[Labels, ...]:
    """Of the sheet that was stated last and holds: all together, then each benchmark and subject."""
    sheets = [stated.fields for stated in said if stated.fields.get("kind") == "labels" and not stated.fault]
    if not sheets:
        return ()
    sheet = sheet_of(bundle, sheets[-1])
    parts: dict[tuple[str, str], list[LabelRow]] = {}
    for row in sheet.rows:
        parts.setdefault((row.benchmark, row.subject), []).append(row)
    found = [_labels(gathered, rows, sheet.stratify, *key) for key, rows in sorted(parts.items())]
    return (_labels(gathered, sheet.rows, "", "", ""), *found) if len(found) > 1 else tuple(found)


def sheet_of(bundle: Bundle, fields: Mapping[str, Any]) -> Sheet:
    """The labels that a statement names. Statements were held against the file's digest when they were read."""
    rows = (msgspec.json.decode(raw, type=LabelRow) for raw in raw_lines(bundle.root / str(fields["file"])))
    return Sheet(tuple(rows), str(fields.get("stratify", "")), int(fields.get("seed", 0)))


def _labels(gathered: Gathered, rows: Sequence[LabelRow], stratify: str, benchmark: str, subject: str) -> Labels:
    pairs = [(labels[0], labels[1]) for row in rows if len(labels := list(row.labels.values())) > 1]
    agreed = kappa(pairs)
    settled = [row for row in rows if row.final in VALUES]
    confusion = Counter(f"{mark}/{row.final}" for row in settled if (mark := _mark(gathered, row)))
    rate = _corrected(gathered.tables[benchmark], subject, settled, stratify) if benchmark else None
    scored = [value for row in settled if (value := _passed(gathered, row)) is not None]
    return Labels(
        benchmark=benchmark,
        subject=subject,
        labelled=len(settled),
        unsettled=len(rows) - len(settled),
        confusion=dict(sorted(confusion.items())),
        kappa=agreed.value if agreed else None,
        kappa_low=agreed.low if agreed else None,
        kappa_high=agreed.high if agreed else None,
        corrected=rate.value if rate else None,
        low=rate.low if rate else None,
        high=rate.high if rate else None,
        scored=_rate(gathered.tables[benchmark], subject)
        if rate
        else math.fsum(scored) / len(scored)
        if scored
        else None,
    )


def _mark(gathered: Gathered, row: LabelRow) -> str:
    table = gathered.tables.get(row.benchmark)
    at = table.items.find(row.item) if table else None
    if table is None or at is None or row.subject not in table.columns:
        return ""
    number = table.columns[row.subject].mark[at]
    return "" if number == NOT_SEEN else MARKS[number].value


def _passed(gathered: Gathered, row: LabelRow) -> float | None:
    return VALUES.get(_mark(gathered, row))


def _rate(table: Table, subject: str) -> float:
    """Of passes among all records; one without a score is no pass."""
    marks = [number for number in table.columns[subject].mark if number != NOT_SEEN]
    return marks.count(MARKS.index("pass")) / len(marks)


def _corrected(table: Table, subject: str, rows: Sequence[LabelRow], stratify: str) -> Any:
    labels = {row.item: VALUES[row.final] for row in rows if row.final}
    strata: dict[str, list[Scored]] = {}
    for name, scored in _scored(table, subject, labels, stratify):
        strata.setdefault(name, []).append(scored)
    return corrected(strata)


def _scored(table: Table, subject: str, labels: Mapping[str, float], stratify: str) -> Iterator[tuple[str, Scored]]:
    """Every record with its stratum."""
    passed, marks = MARKS.index("pass"), table.columns[subject].mark
    strata = strata_of(table, subject, stratify)
    for at, item in enumerate(table.items):
        if marks[at] != NOT_SEEN:
            score = float(marks[at] == passed)
            yield strata[at], Scored(score=score, label=labels.get(item), cluster=table.clusters[at])
