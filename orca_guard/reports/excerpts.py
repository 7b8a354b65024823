"""The records that a report shows in full: those that matter most, a bounded number, the rest by count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orca_guard.items import Item
from orca_guard.reports.gather import MARKS, Column, Gathered, Record, records_at
from orca_guard.reports.hostile import clipped
from orca_guard.reports.summary import Excerpt, LeftOut
from orca_guard.reports.texts import item_at

MOST = 600
"""Records in all."""
SHARES = {"unscored": 0.2, "fail": 0.6, "pass": 0.2}
"""How a subject's part of them is divided; what one mark does not need goes to no other."""
LONGEST = 1500
"""Characters of a text."""


def chosen(gathered: Gathered) -> dict[tuple[str, str], list[int]]:
    """Benchmark and subject → positions. Items stand in an order that nobody chose, so the first ones are a sample."""
    columns = [(name, subject, c) for name, t in gathered.tables.items() for subject, c in t.columns.items()]
    each = max(5, MOST // max(1, len(columns)))
    return {(name, subject): _positions(column, each) for name, subject, column in columns}


def _positions(column: Column, most: int) -> list[int]:
    found = []
    for mark, part in SHARES.items():
        number, limit = MARKS.index(mark), max(1, int(part * most))
        positions = (at for at, seen in enumerate(column.mark) if seen == number)
        found += [at for at, _ in zip(positions, range(limit), strict=False)]
    return sorted(found)


def records_of(gathered: Gathered, positions: Mapping[tuple[str, str], list[int]]) -> Iterator[Record]:
    """The chosen records."""
    for (benchmark, subject), chosen_ones in positions.items():
        yield from records_at(gathered, gathered.tables[benchmark].columns[subject], chosen_ones)


def left_out(gathered: Gathered, positions: Mapping[tuple[str, str], list[int]]) -> tuple[LeftOut, ...]:
    """How many of each mark are not among them."""
    rows = []
    for (benchmark, subject), here in positions.items():
        column = gathered.tables[benchmark].columns[subject]
        for number, mark in enumerate(MARKS):
            count = column.mark.count(number) - sum(column.mark[at] == number for at in here)
            if count:
                rows.append(LeftOut(benchmark=benchmark, subject=subject, mark=mark.value, count=count))
    return tuple(rows)


def addresses_of(record: Record) -> Iterator[str]:
    """Of the texts that an excerpt shows."""
    yield from filter(None, (record.question, record.value, record.written))


def excerpt_of(record: Record, texts: Mapping[str, str]) -> Excerpt:
    """A record with its texts."""
    item = item_at(texts, record.question)
    return Excerpt(
        benchmark=record.benchmark,
        item=record.item,
        subject=record.subject,
        mark=record.mark.value,
        disposition=record.disposition.value,
        reason=clipped(record.reason, LONGEST),
        question=clipped(asked(item), LONGEST) if item else None,
        gold=_gold(item) if item else (),
        answer=_text(texts, record.written),
        value=_text(texts, record.value),
        groups=dict(item.groups) if item else {},
        verdicts=tuple(
            " ".join(filter(None, (v.stage, v.part, v.guard, v.action))) for v in record.verdicts if v.action != "allow"
        ),
        strategy=record.strategy,
        tokens=record.tokens,
    )


def asked(item: Item) -> str:
    """What an item asks, in one text: turns, documents and choices; of likelihoods, context and continuations."""
    if item.request is not None:
        turns = [f"{m.role}: {m.content}" for m in item.request.messages] or [item.request.context]
        return "\n".join([*turns, *(f"[{n}] {text}" for n, text in enumerate(item.request.continuations))])
    assert item.question is not None, "an item has either"
    turns = [m.content if m.role == "user" else f"{m.role}: {m.content}" for m in item.question.messages]
    documents = [f"Document: {document.text}" for document in item.question.documents]
    choices = [f"{chr(65 + n)}. {choice}" for n, choice in enumerate(item.question.choices)]
    return "\n".join([*documents, *turns, *choices])


def _gold(item: Item) -> tuple[str, ...]:
    return tuple(clipped(gold, 200) for gold in item.gold[:10])


def _text(texts: Mapping[str, str], address: str | None) -> str | None:
    return clipped(texts[address], LONGEST) if address and address in texts else None
