"""One pass over a run's shards: a few numbers are kept of every record, and nothing else of it."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from sys import intern
from typing import Any

import msgspec

from orca_guard.errors import BadInput
from orca_guard.items import Disposition, Mark
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.reading import raw_lines
from orca_guard.journal.units import ItemLine
from orca_guard.roster import Roster, Twice

DISPOSITIONS = tuple(Disposition)
MARKS = tuple(Mark)
NOT_SEEN = -1
OUTSIDE = -1.0
"""Instead of a score, where a metric is not about the answer."""

GOLD_SAMPLE = 2000
"""Items of each benchmark whose text, and so whose gold, is looked up for findings."""


class Pass(msgspec.Struct, frozen=True):
    """One generation."""

    text: str
    finish: str
    tokens: tuple[int, int]


class Segment(msgspec.Struct, frozen=True):
    """What reading saw."""

    text: str
    segment: str | None


class Verdict(msgspec.Struct, frozen=True):
    """What one guard said."""

    guard: str
    stage: str
    action: str
    part: str = ""
    reason: str = ""
    on_error: str | None = None


class Record(msgspec.Struct, frozen=True):
    """A line of kind `item`, as far as reports look at it."""

    benchmark: str
    item: str
    subject: str
    question: str
    passes: tuple[Pass, ...]
    answer: Segment | None
    likelihoods: list[tuple[float | None, int, bool]] | None
    value: str | None
    verdicts: tuple[Verdict, ...]
    disposition: Disposition
    scores: dict[str, float | str | None]
    mark: Mark
    reason: str
    strategy: str
    tokens: tuple[int, int]
    seconds: float
    cached: int = 0

    @property
    def given(self) -> bool:
        """Whether its answer came with its item: judges were asked, and no model under test."""
        return self.answer is not None and not self.passes

    @property
    def written(self) -> str | None:
        """Address of what reading saw, or else of the last thing the model wrote."""
        if self.answer:
            return self.answer.text
        return self.passes[-1].text if self.passes else None


class _Kind(msgspec.Struct, frozen=True):
    kind: str = ""


@dataclass(slots=True)
class Column:
    """A subject's numbers, by the position of the item in its benchmark.

    Attributes:
        disposition, mark: their numbers in `DISPOSITIONS` and `MARKS`; `NOT_SEEN` without a record.
        scores: metric → number; NaN for none, and `OUTSIDE`.
        prompt: tokens of the first prompt; of likelihoods, none.
        new: tokens that were written.
        cut: 1 where a generation was cut off.
        erred: 1 where a guard's verdict is an error.
        value, text: keys of what was read and of what was written; 0 for nothing.
        choice: which continuation was best; of a tie, `NOT_SEEN`.
        shortest: 1 where the best continuation has the fewest tokens, and not all have the same.
        offset: of the line in its shard, and the number of the shard.
        kept: records that rest on answers kept from earlier runs.
    """

    disposition: array[int]
    mark: array[int]
    scores: dict[str, array[float]]
    prompt: array[int]
    new: array[int]
    cut: array[int]
    erred: array[int]
    value: array[int]
    text: array[int]
    choice: array[int]
    shortest: array[int]
    offset: array[int]
    shard: array[int]
    order: array[int]
    guards: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    addresses: dict[int, str] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    seconds: float = 0.0
    records: int = 0
    kept: int = 0

    @classmethod
    def of(cls, items: int, metrics: Iterable[str]) -> Column:
        """Of so many items, none of them seen."""
        small = array("b", [NOT_SEEN]) * items
        none = array("b", bytes(items))
        number = array("i", [0]) * items
        key = array("Q", [0]) * items
        return cls(
            disposition=small[:],
            mark=small[:],
            scores={metric: array("d", [math.nan]) * items for metric in metrics},
            prompt=number[:],
            new=number[:],
            cut=none[:],
            erred=none[:],
            value=key[:],
            text=key[:],
            choice=small[:],
            shortest=none[:],
            offset=key[:],
            shard=number[:],
            order=number[:],
        )

    def seen(self) -> array[int]:
        """Positions of items with a record."""
        return array("l", (position for position, number in enumerate(self.mark) if number != NOT_SEEN))

    @property
    def score(self) -> array[float]:
        """Of the first metric."""
        return next(iter(self.scores.values()))

    def add(self, at: int, record: Record, *, offset: int, shard: int) -> None:
        """One record. What makes its address known is kept of values alone, of which there are few or many.

        One whose answer was given says nothing of whom it stands under, and is as if it had not been seen.
        """
        if record.given:
            self.records += 1
            return
        for metric, scores in self.scores.items():
            scores[at] = _number(record.scores.get(metric))
        self.disposition[at] = DISPOSITIONS.index(record.disposition)
        self.mark[at] = MARKS.index(record.mark)
        self.prompt[at] = record.passes[0].tokens[0] if record.passes else 0
        self.new[at] = record.tokens[1]
        self.cut[at] = any(step.finish != "stop" for step in record.passes)
        self.erred[at] = any(verdict.action == "error" for verdict in record.verdicts)
        self.value[at], self.text[at] = key_of(record.value), key_of(record.written)
        self.offset[at], self.shard[at], self.order[at] = offset, shard, self.records
        if record.likelihoods:
            self.choice[at], self.shortest[at] = _best(record.likelihoods)
        self.guards.update((verdict.guard, verdict.stage, verdict.action) for verdict in record.verdicts)
        self.tokens[0] += record.tokens[0]
        self.tokens[1] += record.tokens[1]
        self.seconds += record.seconds
        self.kept += bool(record.cached)
        self.records += 1
        if record.value and len(self.addresses) < GOLD_SAMPLE:
            self.addresses.setdefault(self.value[at], record.value)


def _number(score: float | str | None) -> float:
    """NaN for none; below 0 is outside: no case of what the metric measures."""
    if score is None:
        return math.nan
    return OUTSIDE if isinstance(score, str) else score


def key_of(address: str | None) -> int:
    """Eight bytes of an address, which tell texts of one run apart; 0 for none."""
    return int(address[-16:], 16) if address else 0


def _best(rows: Sequence[tuple[float | None, int, bool]]) -> tuple[int, bool]:
    known = [(-math.inf if rate is None else rate, tokens) for rate, tokens, _ in rows]
    most = max(rate for rate, _ in known)
    best = [number for number, (rate, _) in enumerate(known) if rate == most]
    if len(best) > 1 or best[0] > 127:  # noqa: PLR2004  # what a signed byte holds
        return NOT_SEEN, False
    lengths = [tokens for _, tokens in known]
    return best[0], lengths[best[0]] == min(lengths) < max(lengths)


@dataclass(slots=True)
class Table:
    """A benchmark: its items in order, and a column a subject.

    Attributes:
        entry: of the plan.
        items: their ids.
        clusters: of every item; empty is one of its own.
        digests: keys of the items' digests.
        groups: key → value → positions.
        columns: by subject.
        questions: position → address of the item's text, of the first `GOLD_SAMPLE` items.
        stop: where asking stopped by its rule, as the seal says; None where it did not.
    """

    entry: Mapping[str, Any]
    items: Roster = field(default_factory=lambda: Roster(()))
    clusters: list[str] = field(default_factory=list)
    digests: array[int] = field(default_factory=lambda: array("Q"))
    groups: dict[str, dict[str, array[int]]] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    questions: dict[int, str] = field(default_factory=dict)
    stop: int | None = None

    @property
    def asked(self) -> int:
        """How many items there should be records of."""
        return len(self.clusters) if self.stop is None else self.stop

    def fill(self, lines: Iterable[ItemLine]) -> None:
        """All its items, which stand together. Raises `Twice` where two have one id."""
        self.items = Roster(map(self._placed, lines))

    def _placed(self, item: ItemLine) -> str:
        for key, value in item.groups.items():
            self.groups.setdefault(key, {}).setdefault(value, array("l")).append(len(self.clusters))
        self.clusters.append(intern(item.cluster))
        self.digests.append(key_of(item.digest))
        return item.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What the shards hold.

    Attributes:
        tables: by benchmark, in the plan's order.
        files: the shards, by the numbers that columns know them by.
        strange: lines that are no record of the plan, or a second one.
    """

    tables: Mapping[str, Table]
    files: tuple[Any, ...]
    strange: int


def gather(bundle: Bundle, plan: Mapping[str, Any]) -> Gathered:
    """Read items and shards once.

    What is not sound is passed over: `verify` is there to name it.

    Raises:
        BadInput: the items are not the plan's, or a file cannot be read.
    """
    tables = _tables(bundle, plan)
    files = tuple(bundle.journals().values())
    strange = 0
    for number, path in enumerate(files):
        offset = 0
        for raw in raw_lines(path):
            strange += not _entered(tables, raw, offset, number)
            offset += len(raw)
    return Gathered(tables=tables, files=files, strange=strange)


def _tables(bundle: Bundle, plan: Mapping[str, Any]) -> dict[str, Table]:
    tables = {row["name"]: Table(row) for row in plan["benchmarks"]}
    for name, lines in groupby(bundle.read_items(plan), attrgetter("benchmark")):
        if name not in tables or tables[name].items:
            raise BadInput(f"items.jsonl has items of {name!r} in two places, or it is not planned")
        try:
            tables[name].fill(lines)
        except Twice as error:
            raise BadInput(f"items.jsonl has item {error.name!r} of {name!r} twice") from error
    stopped = bundle.read_seal().get("stopped", {}) if bundle.seal.is_file() else {}
    for name, table in tables.items():
        stop = stopped.get(name) if isinstance(stopped, Mapping) else None
        table.stop = stop if type(stop) is int and 0 <= stop <= len(table.clusters) else None
        subjects = plan["arms" if table.entry["kind"] == "question" else "models"]
        metrics = [metric["name"] for metric in table.entry["metrics"]]
        table.columns.update({row["name"]: Column.of(len(table.clusters), metrics) for row in subjects})
    return tables


_kinds = msgspec.json.Decoder(_Kind)
_records = msgspec.json.Decoder(Record)


def record_in(raw: bytes) -> Record | None:
    """The record in a line, if it is one."""
    try:
        return _records.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _entered(tables: Mapping[str, Table], raw: bytes, offset: int, shard: int) -> bool:
    """Whether the line has its place: a record of the plan that was not seen before, or one of another kind."""
    record = record_in(raw)
    if record is None:
        return _is_other(raw)
    table = tables.get(record.benchmark)
    column = table.columns.get(record.subject) if table else None
    at = table.items.find(record.item) if table else None
    if table is None or column is None or at is None or column.mark[at] != NOT_SEEN:
        return False
    try:
        column.add(at, record, offset=offset, shard=shard)
    except (ValueError, OverflowError):
        return False
    if len(table.questions) < GOLD_SAMPLE:
        table.questions.setdefault(at, record.question)
    return True


def _is_other(raw: bytes) -> bool:
    try:
        return _kinds.decode(raw).kind in {"open", "resumed"}
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def records_at(gathered: Gathered, column: Column, positions: Sequence[int]) -> Iterator[Record]:
    """The records of these items again, from their shards."""
    for number in positions:
        with gathered.files[column.shard[number]].open("rb") as file:
            file.seek(column.offset[number])
            record = record_in(file.readline())
        if record is not None:
            yield record
