"""Measures the engine beside its peers, in turns, on the same files and rows: `python -m benchmarks.engine`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.engine import suite
from benchmarks.engine.bench import Bench, OneQuestion
from benchmarks.engine.kept import ROOT, Kept, bench, engine
from benchmarks.engine.results import Elsewhere, Results, here, now
from benchmarks.engine.sides import Sides
from benchmarks.engine.table import markdown, row, written_into
from benchmarks.engine.work import preamble_of, works

RESULTS, PAGE = ROOT / "benchmarks/results.json", ROOT / "docs/performance.md"
MARKS = ("<!-- measured -->\n", "<!-- /measured -->\n")
EXAMPLES = """examples:
  python -m benchmarks.engine --list                          names of the lines of a run of less than an hour
  python -m benchmarks.engine --list --full                   and of those over all questions
  python -m benchmarks.engine --full --only 'six-shot.*790' --write
                                                              two of them, put into the table beside what is there
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What can be measured by itself.

    Attributes:
        title: what `--only` is held against.
        names: work, model, dtype and peer of each result.
        groups: whether it belongs to the `part`, to the `whole`, or to both.
        key: what its result depends on besides code and versions.
        measure: its results.
    """

    title: str
    names: tuple[tuple[str, ...], ...]
    groups: frozenset[str]
    key: object
    measure: Callable[[], list[dict[str, Any]]]


def main() -> None:
    """Every chosen line in turn; each is written down as soon as it is whole."""
    options = _options()
    where = here(options.peer)
    sides, kept = Sides(options.peer), Kept(options.folder / "kept")
    lines = list(_lines(options, Bench(sides, kept, where["packages"])))
    group = "whole" if options.full else "part"
    chosen = [line for line in lines if group in line.groups and re.search(options.only, line.title)]
    if not chosen:
        sys.exit(f"No line matches {options.only!r}. `--list` names them{'' if options.full else ', `--full` more'}.")
    if options.list:
        print("\n".join(line.title for line in chosen))
        return
    results = _results(options, where, lines)
    if options.drop:
        results.drop(options.drop)
    peak = {name.removeprefix("torch."): value for name, value in sides.ours("peak").items()}
    key = [bench(), engine(), where, options.rounds]
    for line in chosen:
        results.put(kept.once([*key, line.key], partial(_measured, line, peak, options.rounds)))
        print("\n".join(row(one, where["engine"]) for one in results.lines if _name(one) in line.names), flush=True)
        if options.write:  # at once, so that page and file say the same whenever a run is cut short
            written_into(PAGE, MARKS, markdown(results.lines, where))
    print(f"\n{markdown(results.lines, where)}")
    for line in chosen:
        kept.forget([*key, line.key])


def _lines(options: argparse.Namespace, bench: Bench) -> Iterator[Line]:
    """All that there are, in the order of the table."""
    for work, groups in works(options.folder, options.data, preamble_of(options.peer)):
        names = tuple((work.name, Path(work.model).name, work.dtype, peer) for peer in work.peers)
        yield Line(work.title, names, groups, work.as_json(), partial(bench.measured, work, rounds=options.rounds))
    writing = {
        work.dtype: work
        for work, _ in works(options.folder, options.data, preamble_of(options.peer))
        if work.kind == "generate" and Path(work.model).name == "110M"
    }
    whole = suite.Suite(bench, writing, data=options.data, peer=options.peer)
    for dtype, work in writing.items():
        title = f"{suite.name()} 110M {dtype}"
        names = ((suite.name(), "110M", dtype, suite.PEERS),)
        key = [title, suite.PART, suite.LIMIT, work.as_json()]
        yield Line(title, names, whole.groups, key, partial(whole.measured, dtype, rounds=1))
    one = OneQuestion(options.folder, options.data, options.peer)
    yield Line(one.title, one.names, one.groups, one.title, partial(one.measured, rounds=options.rounds))


def _measured(line: Line, peak: dict[str, float], rounds: int) -> list[dict[str, Any]]:
    """The results of a line, with when and how they were found."""
    measured = now(peak, rounds)
    found = line.measure()
    measured["rounds"] = max(len(one["seconds"]["ours"]) for one in found)
    measured["loads"] = [measured.pop("load"), os.getloadavg()[0]]
    return [one | {"measured": measured} for one in found]


def _results(options: argparse.Namespace, where: dict[str, Any], lines: list[Line]) -> Results:
    """The file that the lines go to; what is in it must have been measured here."""
    path = RESULTS if options.write else options.folder / "results.json"
    if options.anew:
        path.unlink(missing_ok=True)
    try:
        results = Results(path, where, names=[name for line in lines for name in line.names])
    except Elsewhere as error:
        sys.exit(f"{path} holds lines of another machine or of other versions ({error}). --anew begins the file anew.")
    for gone in results.gone():
        print(f"Nothing measures this line any more, it is left out: {gone}", file=sys.stderr)
    return results


def _name(one: dict[str, Any]) -> tuple[str, ...]:
    return (one["work"], one["model"], one["dtype"], one["peer"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="where models and rows are kept")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the benchmarks' data")
    parser.add_argument("--peer", type=Path, default=ROOT / "build/bench/peer/bin/python", help="the peers' Python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="REGEX", help="of a line's name, as --list prints it")
    parser.add_argument("--full", action="store_true", help="the lines over all questions: hours without --only")
    parser.add_argument("--list", action="store_true", help="name the lines and measure nothing")
    parser.add_argument("--write", action="store_true", help="into benchmarks/results.json and docs/performance.md")
    parser.add_argument("--drop", metavar="REGEX", help="lines measured before whose names match it are left out")
    parser.add_argument("--anew", action="store_true", help="drop all lines measured before, of whatever machine")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Cut short. The same command goes on after the last whole line.")
