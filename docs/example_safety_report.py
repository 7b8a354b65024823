"""Audits the embedded model by the suite `safety` and writes a page: `python docs/example_safety_report.py DATA`.

Figures go to docs/example-safety-report.md, and no text of any data set. The run itself stays in --keep DIR, if that is
given: there it can be verified, and one that is complete is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "example-safety-report.md"
WORDS = ("--suite", "safety")

HEAD = """\
# A safety report, as an example

<!-- Written by docs/example_safety_report.py. -->

This page shows what an audit reports. **It shows the form, and nobody's ability**: `nano`, the embedded model, is tiny
and was made to try the tool on; it answers most of these questions by chance. Of several data sets only a part was at
hand, so no figure here can be compared with a published one.

"""


def main() -> None:
    """Audit, verify, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of data, as `orca-guard data list` describes it")
    parser.add_argument("--keep", type=Path, help="folder for the run")
    parser.add_argument("--limit", type=int, help="most items of each benchmark; all of the suite's if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        runs = given.keep or Path(temporary)
        words = [*WORDS, *(["--limit", str(given.limit)] if given.limit else [])]
        if not (runs / "safety" / "seal.json").exists():
            _orca_guard("audit", *words, "--data", given.data, "--out", runs, "--run", "safety", wanted={0, 3})
        _orca_guard("verify", runs / "safety", wanted={0})
        PAGE.write_text(page(runs / "safety", " ".join(words)), "utf-8")
    print(PAGE)


def _orca_guard(*words: object, wanted: set[int]) -> None:
    command = [str(Path(sys.executable).parent / "orca-guard"), *map(str, words)]
    code = subprocess.run(command, check=False).returncode  # noqa: S603  # our own words
    if code not in wanted:
        sys.exit(f"orca-guard {words[0]} ended with {code}")


def page(run: Path, words: str) -> str:
    """The whole page."""
    plan, seal = (json.loads((run / name).read_text("utf-8")) for name in ("plan.json", "seal.json"))
    return HEAD + "\n".join((*_told(plan, seal, words), *_benchmarks(plan), *_figures(plan, seal["figures"]))) + "\n"


def _told(plan: Mapping[str, Any], seal: Mapping[str, Any], words: str) -> Iterator[str]:
    started, finished = (datetime.fromisoformat(seal[key]) for key in ("started", "finished"))
    yield f"`orca-guard audit {words} --data DIR`, and `orca-guard verify`:"
    yield ""
    yield f"- {plan['items']['count']:,} items, {seal['records']:,} records under {len(plan['arms'])} arms, in"
    minutes = (finished - started).total_seconds() / 60
    yield f"  {minutes:.0f} minutes on {platform.machine()} with {_cores()} cores and no accelerator."
    yield f"- Verdict: {seal['verdict']}, as there is no gate: measured, and not judged."
    yield f"- Plan `{seal['plan']}`; `verify` computed every figure below again from the records."
    for row in plan["absent"]:
        yield f"- Not run: {row['benchmark']}, {row['reason'].partition(' is not in ')[0].removesuffix('.')}."
    yield ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _benchmarks(plan: Mapping[str, Any]) -> Iterator[str]:
    yield "## What was asked"
    yield ""
    yield "| benchmark | items | sentinels | left out, too long | rows rejected | judged by | not judged |"
    yield "|---|---|---|---|---|---|---|"
    for row in plan["benchmarks"]:
        by = ", ".join(f"{judge['name']}: {judge['who']}" for judge in row.get("judges", ())) or "-"
        lacking = ", ".join(row.get("unjudged", ())) or "-"
        rejected = sum(row["rejected"].values())
        sentinels = row.get("sentinels", 0)
        counts = (row["items"] - sentinels, sentinels, len(row["not_covered"]), rejected)
        yield f"| {row['name']} | {' | '.join(f'{count:,}' for count in counts)} | {by} | {lacking} |"
    yield ""


def _figures(plan: Mapping[str, Any], figures: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    told = [*figures]
    yield "## Figures"
    yield ""
    yield "Each with its 95 % interval, in which items without a score count against it and in its favour."
    for benchmark in plan["benchmarks"]:
        yield from ("", f"### {benchmark['name']}", "")
        yield "| under | metric | group | value | 95 % | items | unscored |"
        yield "|---|---|---|---|---|---|---|"
        yield from map(_row, (f for f in told if f["benchmark"] == benchmark["name"]))


def _row(figure: Mapping[str, Any]) -> str:
    judged = figure.get("judged") or {"inconclusive": "", "own": []}
    doubt = " (inconclusive)" if judged["inconclusive"] else " (judges itself)" if judged["own"] else ""
    value = "-" if figure["value"] is None else f"{figure['value']:.3f}"
    known = (figure["low"], figure["high"]) != (0, 1)
    bounds = f"{figure['low']:.3f} to {figure['high']:.3f}" if known else "-"
    row = (figure["subject"], figure["metric"] + doubt, figure["group"] or "all", value, bounds)
    corrected = figure["corrected"]
    told = f"| {' | '.join(row)} | {figure['n']:,} | {figure['unscored'] or ''} |"
    if corrected and corrected["value"] is not None:
        bounds = f"{corrected['low']:.3f} to {corrected['high']:.3f}"
        told += f"\n| | corrected for the scorer | {row[2]} | {corrected['value']:.3f} | {bounds} | | |"
    return told


if __name__ == "__main__":
    main()
