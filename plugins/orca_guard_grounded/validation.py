"""Holds a detector against answers that people labelled: `python -m orca_guard_grounded.validation DIR --guard NAME`.

Of every set the threshold is the one with the best balanced accuracy on its dev part, and the figures are of its report
part: no row is in both, and rows on one text are never divided. The split is that of `orca_guard.splits`. No detector
of ours was trained on any of these rows, so those of its train part choose the threshold too.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from orca_guard.configuration import GuardTable, ModelTable
from orca_guard.errors import DataAbsent, OrcaGuardError, UsageError
from orca_guard.host import Host
from orca_guard.items import Rejected
from orca_guard.labelled import Labelled, told
from orca_guard.pipeline import Pipeline
from orca_guard.validation import FEWEST, Scored, alone, quality, scored
from orca_guard_grounded.detectors import SETS, LabelledAnswers

RESAMPLES = 1000
SEED = 7
TAIL = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number with its 95 % bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What a detector comes to on one set.

    Attributes:
        name: of the set.
        rejected: reason → rows that have no label, or none that can be used.
        n: rows of the report part.
        hits: of those, what people say is made up.
        unscored: rows of it without a score; each counts as wrong.
        threshold: with the best balanced accuracy on the dev part.
        dev: digest of the rows that it was chosen on.
        report: digest of those that the figures are of.
        auroc, balanced, f1: on the report part; None where it has too few rows of a kind.
        reason: why there are none.
    """

    name: str
    rejected: Mapping[str, int]
    n: int
    hits: int
    unscored: int = 0
    threshold: float | None = None
    dev: str = ""
    report: str = ""
    auroc: Interval | None = None
    balanced: Interval | None = None
    f1: Interval | None = None
    reason: str = ""


def suites(
    pipeline: Pipeline,
    data: Path,
    *,
    sets: Sequence[LabelledAnswers] = SETS,
    step: Callable[[str, int], None] = lambda *_: None,
) -> Iterator[Suite]:
    """Every set that is in the folder.

    Args:
        pipeline: of one guard, as `orca_guard.validation.alone` makes it.
        data: the folder of data.
        sets: those that are wanted.
        step: told of a set and how many of its rows are scored.
    """
    for one in sets:
        try:
            yield suite(pipeline, one, data, step=step)
        except DataAbsent as error:
            yield Suite(name=one.name, rejected={}, n=0, hits=0, reason=f"not run: {error}")


def suite(
    pipeline: Pipeline, of: LabelledAnswers, data: Path, *, step: Callable[[str, int], None] = lambda *_: None
) -> Suite:
    """One set. Raises `DataAbsent` and `BadInput` as its reader does."""
    rows: list[Labelled] = []
    rejected = Counter[str]()
    for row in of.rows(data):
        if isinstance(row, Rejected):
            rejected[row.reason] += 1
        else:
            rows.append(row)
    dev = [row for row in rows if row.part != "report"]
    report = [row for row in rows if row.part == "report"]
    bare = Suite(
        name=of.name,
        rejected=dict(sorted(rejected.items())),
        n=len(report),
        hits=sum(row.label for row in report),
        dev=told(dev).digest,
        report=told(report).digest,
    )
    if not of.grounded and pipeline.guards[0].name not in OPEN:
        return _without(bare, "its answers have no source, and this guard needs one")
    if few := next((part for name, part in (("dev", dev), ("report", report)) if _few(part)), None):
        hits = sum(row.label for row in few)
        return _without(bare, f"{hits} rows of a part are labelled and {len(few) - hits} are not: too few to tell")
    every = scored(pipeline, [*dev, *report], step=lambda done: step(of.name, done))
    return _figures(bare, every[: len(dev)], every[len(dev) :])


OPEN = frozenset({"self-consistency"})
"""Guards that look at answers without a source."""


def _few(rows: Sequence[Labelled]) -> bool:
    hits = sum(row.label for row in rows)
    return min(hits, len(rows) - hits) < FEWEST // 2


def _without(bare: Suite, reason: str) -> Suite:
    return Suite(**{**asdict(bare), "reason": reason})


def _figures(bare: Suite, dev: Sequence[Scored], report: Sequence[Scored]) -> Suite:
    threshold = best_threshold(dev)
    rate = quality(report, threshold).auroc
    confusions = [_confusion(cluster, threshold) for cluster in _clusters(report)]
    more: dict[str, Any] = {
        "unscored": sum(one.score is None for one in report),
        "threshold": threshold,
        "auroc": Interval(value=rate.value, low=rate.low, high=rate.high),
        "balanced": _interval(balanced, confusions),
        "f1": _interval(f1, confusions),
    }
    return Suite(**{**asdict(bare), **more})


def best_threshold(rows: Sequence[Scored]) -> float:
    """The score with the best balanced accuracy at it; of several the least. A row without a score plays no part."""
    seen = sorted((one.score, one.row.label) for one in rows if one.score is not None)
    hits = sum(label for _, label in seen)
    rest = len(seen) - hits
    best, at, above, wrong = -1.0, 1.0, hits, rest
    for number, (score, label) in enumerate(seen):
        if number == 0 or score != seen[number - 1][0]:
            found = (above / max(1, hits) + 1 - wrong / max(1, rest)) / 2
            if found > best + 1e-12:
                best, at = found, score
        above -= label
        wrong -= not label
    return at


Confusion = tuple[int, int, int, int]
"""Made up and found, made up and missed, held up and stopped, held up and left alone."""


def _clusters(rows: Sequence[Scored]) -> list[list[Scored]]:
    found: dict[str, list[Scored]] = {}
    for one in rows:
        found.setdefault(one.row.cluster, []).append(one)
    return list(found.values())


def _confusion(rows: Sequence[Scored], threshold: float) -> Confusion:
    """A row without a score counts as wrong, whichever way it is labelled."""
    said = [not one.row.label if one.score is None else one.score >= threshold for one in rows]
    pairs = Counter((one.row.label, hit) for one, hit in zip(rows, said, strict=True))
    return pairs[True, True], pairs[True, False], pairs[False, True], pairs[False, False]


def balanced(found: Confusion) -> float | None:
    """Mean of the shares that are right of each kind; None without one of them."""
    tp, fn, fp, tn = found
    return (tp / (tp + fn) + tn / (tn + fp)) / 2 if tp + fn and tn + fp else None


def f1(found: Confusion) -> float | None:
    """Of what is made up; None where nothing is, and nothing is said to be."""
    tp, fn, fp, _ = found
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


def _interval(statistic: Callable[[Confusion], float | None], clusters: Sequence[Confusion]) -> Interval:
    """The percentile interval over resampled texts (Efron 1979); resamples without both kinds are left out."""
    chance = random.Random(SEED)  # noqa: S311  # no secret
    drawn = (statistic(_sum(chance.choices(clusters, k=len(clusters)))) for _ in range(RESAMPLES))
    values = sorted(value for value in drawn if value is not None)
    whole = statistic(_sum(clusters))
    if whole is None or not values:
        return Interval(value=0.0, low=0.0, high=1.0)
    last = len(values) - 1
    return Interval(value=whole, low=values[round(TAIL * last)], high=values[round((1 - TAIL) * last)])


def _sum(clusters: Sequence[Confusion]) -> Confusion:
    tp, fn, fp, tn = map(sum, zip(*clusters, strict=True))
    return tp, fn, fp, tn


# --- on the command line -------------------------------------------------------------------------


@click.command(
    epilog="""\b
    Examples:
      python -m orca_guard_grounded.validation ./data --guard word-overlap
      python -m orca_guard_grounded.validation ./data --guard entailment --option model=./my-nli --set begin
      python -m orca_guard_grounded.validation ./data --guard supported --model nano --json"""
)
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.option("--guard", "name", default="word-overlap", show_default=True, help="The detector: a guard of grounding.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the guard.")
@click.option("--model", metavar="MODEL", help="For guards that ask the pipeline's own model.")
@click.option("--set", "sets", multiple=True, type=click.Choice([one.name for one in SETS]), help="This set alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    data: Path, name: str, options: tuple[str, ...], model: str | None, sets: tuple[str, ...], *, as_json: bool
) -> None:
    """Hold a detector against the labelled answers in DIR, the folder of data: threshold on dev, figures on report."""
    try:
        table = GuardTable(name=name, options=dict(map(_pair, options)), timeout_s=600)
        pipeline = alone(table, Host.installed(), model=ModelTable(name=model) if model else None, offline=True)
        wanted = [one for one in SETS if one.name in sets or not sets]
        shown = Console(stderr=True)
        bar = track(wanted, "sets", console=shown, transient=True, disable=not shown.is_terminal)
        found = [one for of in bar for one in suites(pipeline, data, sets=[of])]
    except OrcaGuardError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    click.echo("| detector | set | rows (made up) | left out | threshold | AUROC | balanced accuracy | F1 |")
    click.echo("|---|---|---|---|---|---|---|---|")
    for one in found:
        click.echo(line(one, name + (f" ({model})" if model else "")))


def _pair(option: str) -> tuple[str, str]:
    key, sign, value = option.partition("=")
    if not sign:
        raise UsageError(f"{option!r} is no option of a guard: write KEY=VALUE, as in model=./my-nli")
    return key, value


def line(found: Suite, detector: str) -> str:
    """A row of the table."""
    left = sum(found.rejected.values())
    head = (f"`{detector}`", found.name, f"{found.n} ({found.hits})", str(left))
    if found.threshold is None:
        return f"| {' | '.join(head)} | {found.reason} | | | |"
    shown = (_shown(one) for one in (found.auroc, found.balanced, found.f1))
    return f"| {' | '.join((*head, f'{found.threshold:.3f}', *shown))} |"


def _shown(found: Interval | None) -> str:
    return "" if found is None else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


if __name__ == "__main__":
    main()
