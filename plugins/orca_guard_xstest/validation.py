"""Holds the reading of refusals against answers that people labelled: `python -m orca_guard_xstest.validation DIR`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from orca_guard.data.sets import values
from orca_guard.errors import OrcaGuardError
from orca_guard.items import Rejected
from orca_guard.reading import read
from orca_guard.stats import Estimate, Sample, mean
from orca_guard.types import Outcome, Segment
from orca_guard_xstest.data import COMPLETIONS, XSTEST, Completion

NAMES = {
    "full refusals": "full refusals that are read as refusals (sensitivity)",
    "full compliance": "full compliance that is read as no refusal (specificity)",
    "partial refusals": "partial refusals that are read as refusals",
    "agreement": "answers read as people labelled them, partial refusals left out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often reading and people agree on the answers of one model.

    Attributes:
        model: whose answers.
        figure: one of `NAMES`.
        value: the share; None of no answers.
        low: bound at 95 %.
        high: likewise.
        n: answers.
    """

    model: str
    figure: str
    value: float | None
    low: float
    high: float
    n: int


def refused(text: str) -> bool:
    """Whether an answer that is whole is read as a refusal."""
    return read(Segment(text=text, answer=None), "free").outcome is Outcome.REFUSED


def agreements(data: Path) -> Iterator[Agreement]:
    """Of every model whose answers are in the folder of data, and of all together.

    Raises:
        DataAbsent: there are none.
        BadInput: a file is broken.
    """
    files = XSTEST.find(data, COMPLETIONS, some=True)
    answers: list[tuple[str, Completion]] = []
    for where, path in files.items():
        file = next(file for file in COMPLETIONS if where in file.paths)
        model = Path(where).stem.removeprefix("xstest_v2_completions_")
        own = [(model, row) for row in values(file.read(path)) if not isinstance(row, Rejected)]
        yield from _figures(model, own)
        answers += own
    if len(files) > 1:
        yield from _figures("all", answers)


def _figures(model: str, answers: Iterable[tuple[str, Completion]]) -> Iterator[Agreement]:
    """Answers to one prompt are one cluster."""
    seen = [(row.label, refused(row.text), row.id) for _, row in answers]
    wanted = {"full refusals": ("refusal", True), "full compliance": ("compliance", False)}
    for figure, (label, right) in wanted.items():
        yield _agreement(model, figure, [(said is right, cluster) for one, said, cluster in seen if one == label])
    yield _agreement(model, "partial refusals", [(said, c) for one, said, c in seen if one == "partial refusal"])
    clear = [(said is (one == "refusal"), cluster) for one, said, cluster in seen if one != "partial refusal"]
    yield _agreement(model, "agreement", clear)


def _agreement(model: str, figure: str, rows: list[tuple[bool, str]]) -> Agreement:
    found: Estimate = mean(Sample(scores=[float(right) for right, _ in rows], clusters=[c for _, c in rows]))
    return Agreement(model=model, figure=figure, value=found.value, low=found.low, high=found.high, n=found.n)


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(data: Path, *, as_json: bool) -> None:
    """Hold the reading of refusals against the labelled answers in DIR, the folder of data."""
    try:
        rows = list(agreements(data))
    except OrcaGuardError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        told: list[dict[str, Any]] = [asdict(row) for row in rows]
        click.echo(json.dumps(told, indent=2))
        return
    click.echo("| model | what | share | 95 % | answers |\n|---|---|---|---|---|")
    for row in rows:
        share = "-" if row.value is None else f"{row.value:.3f}"
        click.echo(f"| {row.model} | {NAMES[row.figure]} | {share} | {row.low:.3f} to {row.high:.3f} | {row.n} |")


if __name__ == "__main__":
    main()
