"""Writes how good each scorer is that runs offline into docs/guards.md: `python docs/guard_figures.py DATA`.

Every scorer on every set of labels that bears on it, poor ones too, at its default threshold;
toxicity also by the group that a text speaks of. Of each set the rows of the report part count.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import labelled_sets

from orca_guard.configuration import GuardTable, ModelTable
from orca_guard.errors import OrcaGuardError
from orca_guard.host import Host
from orca_guard.labelled import LabelledSet
from orca_guard.operating import Rate
from orca_guard.pipeline import Pipeline
from orca_guard.validation import Quality, Scored, alone, by_group, quality, scored, threshold_of

PAGE = Path(__file__).parent / "guards.md"
BEGIN, END = "<!-- measured by docs/guard_figures.py -->\n", "<!-- end -->"


@dataclass(frozen=True)
class Case:
    """A guard as it comes, the model that it asks, the sets that bear on it, and whether groups are told apart."""

    guard: str
    sets: tuple[str, ...]
    model: str = ""
    groups: str = ""


TOXIC = ("HatemojiBuild", "ToxiGen", "toxic spans", "Davidson")
GROUNDED = ("FaithBench", "FActScore", "RAGTruth QA", "BEGIN")
CASES = (
    Case("prompt-injection", ("XSTest",)),
    Case("toxicity", TOXIC, groups="ToxiGen"),
    Case("toxicity-ngrams", TOXIC, groups="ToxiGen"),
    Case("word-overlap", GROUNDED),
    Case("supported", GROUNDED, model="nano"),
)


def lines(data: Path) -> Iterator[str]:
    """The tables."""
    yield "| scorer | set | rows (labelled) | AUROC | balanced accuracy | finds | stops wrongly |"
    yield "|---|---|---|---|---|---|---|"
    groups: list[tuple[Case, list[Scored], float]] = []
    host = Host.installed()
    for case in CASES:
        try:
            model = ModelTable(name=case.model) if case.model else None
            pipeline = alone(GuardTable(name=case.guard, timeout_s=600), host, model=model, offline=True)
        except OrcaGuardError as error:
            print(f"left out: {error}")
            continue
        for name in case.sets:
            rows = _scored(pipeline, labelled_sets.read(name, data))
            at = threshold_of(pipeline.guards[0])
            yield _line(_title(case), name, quality(rows, at))
            groups += [(case, rows, at)] if name == case.groups else []
    for case, rows, at in groups:
        yield f"\nThe same by the group that a text of {case.groups} speaks of:\n"
        yield "| scorer | group | rows (labelled) | AUROC | balanced accuracy | finds | stops wrongly |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_line(_title(case), group, quality(part, at)) for group, part in by_group(rows).items())


def _scored(pipeline: Pipeline, data: LabelledSet) -> list[Scored]:
    print(f"{pipeline.guards[0].name} on {data.name}: {len(data.rows)} rows")
    return scored(pipeline, data.rows)


def _title(case: Case) -> str:
    return f"`{case.guard}`" + (f" ({case.model})" if case.model else "")


def _line(scorer: str, name: str, found: Quality) -> str:
    both = min(found.hits, found.n - found.hits) > 0
    cells: Sequence[str] = (
        scorer,
        name,
        f"{found.n} ({found.hits})",
        _shown(found.auroc) if both else "",
        f"{found.balanced:.3f}" if both else "",
        _shown(found.tpr) if found.hits else "",
        _shown(found.fpr) if found.hits < found.n else "",
    )
    return f"| {' | '.join(cells)} |"


def _shown(rate: Rate) -> str:
    return f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"


def written(page: str, rows: Iterable[str]) -> str:
    """The page with the tables put between its marks."""
    before, mark, rest = page.partition(BEGIN)
    return f"{before}{mark}" + "\n".join(rows) + f"\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of labelled sets in their published form")
    tables = list(lines(parser.parse_args().data))
    PAGE.write_text(written(PAGE.read_text("utf-8"), tables), "utf-8")


if __name__ == "__main__":
    main()
