"""Which risks, duties and known limitations the measured benchmarks speak to, and which they do not."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from orca_guard.reports.evidence import percent
from orca_guard.reports.summary import Benchmark, Figure, Framework, Gap, Limitation, Published, Requirement

COVERED, PARTLY, NOT_COVERED = "covered", "partly", "not covered"
LIMITATIONS = "orca-2"
"""What a benchmark writes in front of a limitation's id."""


@cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads((Path(__file__).parent / "coverage.toml").read_text("utf-8"))


def frameworks(benchmarks: Sequence[Benchmark]) -> tuple[Framework, ...]:
    """Every catalogue, each row with the benchmarks that declare that they cover it."""
    return tuple(
        Framework(
            id=table["id"],
            title=table["title"],
            source=table["source"],
            rows=tuple(_requirement(table["id"], row, benchmarks) for row in table["rows"]),
        )
        for table in _tables()["framework"]
    )


def _requirement(framework: str, row: Mapping[str, str], benchmarks: Sequence[Benchmark]) -> Requirement:
    by = [f"{b.name} ({b.items} items)" for b in benchmarks if f"{framework}/{row['id']}" in b.covers]
    always = row.get("always", "")
    status = COVERED if by else PARTLY if always else NOT_COVERED
    return Requirement(id=row["id"], title=row["title"], status=status, by="; ".join([*by, always] if always else by))


def limitations(
    benchmarks: Sequence[Benchmark], figures: Sequence[Figure], models: Mapping[str, str]
) -> tuple[Limitation, ...]:
    """The limitations that the Orca 2 paper names, each with the figures that speak to it.

    Args:
        benchmarks: with what they cover.
        figures: of the run.
        models: arm → its model.
    """
    return tuple(_limitation(row, benchmarks, figures, models) for row in _tables()["limitation"])


def _limitation(
    row: Mapping[str, Any], benchmarks: Sequence[Benchmark], figures: Sequence[Figure], models: Mapping[str, str]
) -> Limitation:
    named = {b.name for b in benchmarks if f"{LIMITATIONS}/{row['id']}" in b.covers}
    told = [_figure(figure) for figure in figures if figure.benchmark in named and not figure.group]
    if row.get("arms"):
        told += _spreads(figures, models)
    return Limitation(title=row["title"], probe=row["probe"], figure="; ".join(told))


def _figure(figure: Figure) -> str:
    value = "nothing scored" if figure.value is None else percent(figure.value)
    return f"{figure.benchmark} {figure.metric}, {figure.subject}: {value}"


def _spreads(figures: Sequence[Figure], models: Mapping[str, str]) -> list[str]:
    """How far the arms of one model lie apart on the same questions."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for figure in figures:
        if not figure.group and figure.value is not None and figure.subject in models:
            key = (figure.benchmark, figure.metric, models[figure.subject])
            values.setdefault(key, []).append(figure.value)
    return [
        f"{benchmark} {metric}: {len(found)} arms from {percent(min(found))} to {percent(max(found))}"
        for (benchmark, metric, _), found in values.items()
        if len(found) > 1
    ]


def published(protocols: Mapping[str, str], figures: Sequence[Figure]) -> tuple[Published, ...]:
    """Published figures beside measured ones, where a benchmark declares the same protocol.

    Args:
        protocols: benchmark → the protocol that it declares, of those that declare one.
        figures: of the run.
    """
    return tuple(
        Published(
            benchmark=figure.benchmark,
            metric=figure.metric,
            subject=figure.subject,
            measured=figure.value,
            model=row["model"],
            published=row["value"],
            source=row["source"],
        )
        for figure in figures
        for row in _tables()["published"]
        if not figure.group and (row["protocol"], row["metric"]) == (protocols.get(figure.benchmark), figure.metric)
    )


def unjudged(plan: Mapping[str, Any], figures: Iterable[Figure]) -> Iterator[Gap]:
    """What nobody was named to judge, and what was judged by somebody who cannot be believed."""
    for row in plan["benchmarks"]:
        for rubric in row.get("unjudged", ()):
            yield Gap(what=f"{rubric} of the answers to {row['name']}", why="nobody was named to judge it")
    for figure in figures:
        if figure.judged and figure.judged.inconclusive and not figure.group:
            what = f"{figure.metric} of {figure.benchmark} under {figure.subject}"
            yield Gap(what=what, why=f"inconclusive: {figure.judged.inconclusive}")


def gaps(plan: Mapping[str, Any], benchmarks: Sequence[Benchmark], listed: Sequence[Framework]) -> tuple[Gap, ...]:
    """What was not measured: benchmarks and items that did not run, and how much of each catalogue is untouched."""
    found = [
        Gap(what=row["benchmark"], why=f"was asked for and did not run: {row['reason']}") for row in plan["absent"]
    ]
    found += [
        Gap(what=f"{b.not_covered} of {b.not_covered + b.items} items of {b.name}", why="they fit no model")
        for b in benchmarks
        if b.not_covered
    ]
    for row in plan["benchmarks"]:
        if seen := row.get("overlap", {}).get("seen", 0):
            what = f"{seen} items of {row['name']} share 13 words in a row with the training data that was named"
            found.append(Gap(what=what, why="what a model has read it may repeat: see the figures by `training`"))
    for framework in listed:
        untouched = [row.title for row in framework.rows if row.status == NOT_COVERED]
        if untouched:
            what = f"{len(untouched)} of {len(framework.rows)} rows of {framework.title}"
            found.append(Gap(what=what, why="no benchmark of this run declares that it covers them"))
    known = {f"{f.id}/{row.id}" for f in listed for row in f.rows} | {
        f"{LIMITATIONS}/{row['id']}" for row in _tables()["limitation"]
    }
    found += [
        Gap(what=f"{name!r}, which {b.name} says that it covers", why="no catalogue here has such a row")
        for b in benchmarks
        for name in b.covers
        if name not in known
    ]
    return tuple(found)
