"""Answers go out to people who label them, and their labels come back as a statement beside the run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_bytes, digest_of
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.disk import write_whole, writing
from orca_guard.journal.statements import seal_digest, state
from orca_guard.reports import excerpts
from orca_guard.reports.gather import NOT_SEEN, Gathered, Record, Table, gather, records_at
from orca_guard.reports.hostile import shown
from orca_guard.reports.labels import VALUES, LabelRow, strata_of
from orca_guard.reports.summary import Excerpt
from orca_guard.reports.texts import texts_at

SAMPLE, SHEET, FORM = "sample.json", "sheet.csv", "sheet.html"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Row(msgspec.Struct, frozen=True):
    number: int
    benchmark: str
    item: str
    subject: str


class Sample(msgspec.Struct, frozen=True):
    """`sample.json`: which record each number stands for. It stays with whoever made it.

    Attributes:
        seal: digest of the run's seal.
        seed: of the draw.
        stratify: by what it was drawn in equal parts; empty is by chance alone.
        rows: numbers and records.
    """

    seal: str
    seed: int
    stratify: str
    rows: tuple[_Row, ...]


# --- out ---------------------------------------------------------------------------------------


def export(folder: Path, out: Path, *, sample: int, stratify: str = "", blind: bool = True, seed: int = 0) -> Sample:
    """Draw records of questions, and write `sample.json`, `sheet.csv` and `sheet.html` into a new folder.

    Every benchmark and subject gives the same number, and of each every stratum. Who is drawn depends on the seed and
    the names of items alone; in the sheet they stand in an order that depends on the seed.

    Args:
        folder: of a sealed run.
        out: where to; it must not exist, or be empty.
        sample: how many records, at most.
        stratify: `mark`, `disposition`, or a key of the items' groups; empty draws by chance.
        blind: whether arms and marks are left out.
        seed: of the draw.

    Raises:
        BadInput: the run is not sealed, has no questions or no texts, nobody has that key, or `out` cannot be written.
    """
    bundle = Bundle(folder)
    gathered = gather(bundle, bundle.read_plan())
    drawn = list(_drawn(gathered, sample, stratify, seed))
    if not drawn:
        raise BadInput(f"{folder} holds no answers to questions; likelihoods have no texts to be labelled")
    rows = [_Row(number, *key) for number, key in enumerate(drawn, 1)]
    made = Sample(seal_digest(bundle), seed, stratify, tuple(rows))
    shown_rows = list(_excerpts(bundle, gathered, rows))
    if all(excerpt.answer is None for _, excerpt in shown_rows):
        raise BadInput(f"the texts of {folder} were taken out: there is nothing to read")
    _write(out, made, shown_rows, blind=blind)
    return made


def _drawn(gathered: Gathered, most: int, stratify: str, seed: int) -> Iterator[tuple[str, str, str]]:
    tables = {name: table for name, table in gathered.tables.items() if table.entry["kind"] == "question"}
    _check_key(tables, stratify)
    parts = [(name, subject) for name, table in tables.items() for subject in table.columns]
    chosen = []
    for name, subject in parts:
        found = _part(tables[name], subject, most // len(parts) or 1, stratify, seed)
        chosen += [(name, item, subject) for item in found]
    yield from sorted(chosen, key=lambda key: digest_of([seed, "order", *key]))


def _check_key(tables: Mapping[str, Table], key: str) -> None:
    known = {"mark", "disposition"} | {name for table in tables.values() for name in table.groups}
    if key and key not in known:
        raise BadInput(f"no item has a group {key!r} to stratify by; there are {', '.join(sorted(known))}")


def _part(table: Table, subject: str, most: int, stratify: str, seed: int) -> list[str]:
    strata: dict[str, list[str]] = {}
    named = strata_of(table, subject, stratify)
    for at, item in enumerate(table.items):
        if table.columns[subject].mark[at] != NOT_SEEN:
            strata.setdefault(named[at], []).append(item)
    each = max(2, most // max(1, len(strata)))
    return [
        item
        for items in strata.values()
        for item in sorted(items, key=lambda item: digest_of([seed, table.entry["name"], item, subject]))[:each]
    ]


def _excerpts(bundle: Bundle, gathered: Gathered, rows: Sequence[_Row]) -> Iterator[tuple[_Row, Excerpt]]:
    records: list[Record] = []
    for row in rows:
        table = gathered.tables[row.benchmark]
        at = table.items.find(row.item)
        assert at is not None, "rows are drawn from these items"
        records += records_at(gathered, table.columns[row.subject], [at])
    texts = texts_at(bundle, {address for record in records for address in excerpts.addresses_of(record)})
    for row, record in zip(rows, records, strict=True):
        yield row, excerpts.excerpt_of(record, texts)


def _write(out: Path, sample: Sample, rows: Sequence[tuple[_Row, Excerpt]], *, blind: bool) -> None:
    from orca_guard.reports.html import page  # noqa: PLC0415  # templates are for this alone

    if out.exists() and any(out.iterdir()):
        raise BadInput(f"{out} is not empty; name another folder")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    sheet = [_sheet_row(row, excerpt, blind=blind) for row, excerpt in rows]
    write_whole(out / SAMPLE, json.dumps(msgspec.to_builtins(sample), indent=1).encode())
    write_whole(out / SHEET, _csv(sheet))
    write_whole(out / FORM, page("review", script="review.js", rows=sheet, seal=sample.seal, blind=blind).encode())


def _sheet_row(row: _Row, excerpt: Excerpt, *, blind: bool) -> dict[str, str]:
    told = {
        "number": str(row.number),
        "question": excerpt.question or "",
        "right": " | ".join(excerpt.gold),
        "answer": excerpt.answer or "",
    }
    if not blind:
        told |= {"subject": excerpt.subject, "mark": excerpt.mark}
    return told | {"label": "", "note": ""}


def _csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    """For a spreadsheet, which takes no text of a model for a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _cell(value: str) -> str:
    safe = shown(value)
    return f"'{safe}" if safe.startswith(_FORMULA) else safe


# --- back --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of an import: the file, labels that hold, and records on which two differ and nobody decided."""

    path: Path
    settled: int
    unsettled: int


def bring_in(
    folder: Path,
    sheets: Sequence[Path],
    *,
    sample: Path,
    decided: Path | None = None,
    speaker: Mapping[str, str],
    key: Path | None = None,
) -> Imported:
    """Write the labels of one or two people beside the run, and state them.

    Args:
        folder: of the run.
        sheets: CSV files with `number` and `label` (`pass`, `fail` or empty), a person each, called as its file.
        sample: the `sample.json` of the export.
        decided: another such file, for records on which the two differ.
        speaker: name and role of who states it.
        key: Ed25519 key to sign with.

    Raises:
        BadInput: the sample is of another run, a sheet is none, or labels something that was not drawn.
        NotReady: a key was given, and the package that signs is not installed.
    """
    bundle = Bundle(folder)
    drawn = _sample(sample, seal_digest(bundle))
    if len({path.stem for path in sheets}) != len(sheets) or not 1 <= len(sheets) <= 2:  # noqa: PLR2004  # people
        raise BadInput("give one sheet, or two of different names: a person each")
    people = {path.stem: _labels(path, drawn) for path in sheets}
    final = _labels(decided, drawn) if decided else {}
    rows = [row for entry in drawn.rows if (row := _label_row(entry, people, final))]
    if not rows:
        raise BadInput(f"{', '.join(str(path) for path in sheets)}: nothing is labelled pass or fail")
    data = b"".join(canonical(msgspec.to_builtins(row)) + b"\n" for row in rows)
    path = _free(bundle)
    write_whole(path, data)
    fields = {
        **speaker,
        "file": path.name,
        "digest": digest_bytes(data),
        "rows": len(rows),
        "labellers": ", ".join(people),
        "stratify": drawn.stratify,
        "seed": drawn.seed,
    }
    try:
        state(bundle, "labels", fields, key=key)
    except BaseException:
        path.unlink()
        raise
    settled = sum(row.final is not None for row in rows)
    return Imported(path=path, settled=settled, unsettled=len(rows) - settled)


def _sample(path: Path, seal: str) -> Sample:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Sample)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInput(f"{path} is no sample of an export: {error}") from error
    if found.seal != seal:
        raise BadInput(f"{path} was drawn from another run: its seal is {found.seal}, and this one's is {seal}")
    return found


def _labels(path: Path, sample: Sample) -> dict[int, str]:
    known = {row.number for row in sample.rows}
    found: dict[int, str] = {}
    for line, (number, label) in enumerate(_cells(path), 2):
        if label and label not in VALUES:
            raise BadInput(f"{path}, line {line}: a label is pass, fail or empty, not {label!r:.40}")
        if number not in known or number in found:
            raise BadInput(f"{path}, line {line}: number {number} was not drawn, or stands there twice")
        if label:
            found[number] = label
    return found


def _cells(path: Path) -> Iterator[tuple[int, str]]:
    """Number and label, line by line. Spreadsheets of some countries part columns by semicolons or tabs."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"{path} is no text in UTF-8. Save the sheet as CSV in UTF-8") from error
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        if missing := {"number", "label"} - {*(reader.fieldnames or ())}:
            raise BadInput(
                f"{path} has no column {' and no column '.join(sorted(missing))}. Its first line: {head:.80}"
            )
        for row in reader:
            number = (row["number"] or "").strip()
            if not number.isdecimal():
                raise BadInput(f"{path}, line {reader.line_num}: its number is {number!r:.40}, which is none")
            yield int(number), (row["label"] or "").strip().lower()
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: {error}") from error


def _label_row(entry: _Row, people: Mapping[str, Mapping[int, str]], final: Mapping[int, str]) -> LabelRow | None:
    labels = {name: sheet[entry.number] for name, sheet in people.items() if entry.number in sheet}
    if not labels:
        return None
    same = set(labels.values())
    holds = final.get(entry.number) or (same.pop() if len(same) == 1 else None)
    return LabelRow(benchmark=entry.benchmark, item=entry.item, subject=entry.subject, labels=labels, final=holds)


def _free(bundle: Bundle) -> Path:
    number = 1
    while (path := bundle.root / f"labels-{number}.jsonl").exists():
        number += 1
    return path
