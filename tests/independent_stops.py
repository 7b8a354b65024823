"""Where a bundle's run had to stop, and what its sequential benchmarks come to, from docs/bundle.md and nothing else.

It takes records as they are (`independent_verifier.py` does not), and of metrics that are no means looks at the bounds
alone.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Rows = list[tuple[Any, str]]
Records = dict[Any, Json]


def means(rows: Rows, missing: float | None) -> list[float]:
    clusters: dict[Any, list[float]] = defaultdict(list)
    for place, (score, cluster) in enumerate(rows):
        filled = missing if score is None else score
        if score != "outside" and filled is not None:
            clusters[cluster or place].append(filled)
    return [math.fsum(scores) / len(scores) for scores in clusters.values()]


def paid(found: list[float], limit: float, side: int) -> float:
    """What five bets hold together, of a stake of 1."""
    bets = [math.fsum(math.log1p(bet * side * (y - limit)) for y in found) for bet in (0.2, 0.4, 0.6, 0.8, 1.0)]
    return math.fsum(math.exp(min(bet, 700)) for bet in bets) / 5


def bounds(rows: Rows, tail: float) -> tuple[float, float]:
    if len(means(rows, 1)) < 10:
        return 0.0, 1.0
    ends = []
    for side, missing in ((1, 0.0), (-1, 1.0)):
        found, pays, not_yet = means(rows, missing), *((0.0, 1.0) if side > 0 else (1.0, 0.0))
        for _ in range(50):
            middle = (pays + not_yet) / 2
            pays, not_yet = (middle, not_yet) if paid(found, middle, side) >= 1 / tail else (pays, middle)
        ends.append(pays)
    return ends[0], ends[1]


def ruling(gate: Json, low: float, high: float, value: float | None, n: int) -> str:
    if value is None or n < 10:
        return "inconclusive"
    limit, good = (gate["at_least"], low) if gate["at_most"] is None else (-gate["at_most"], -high)
    bad = high if gate["at_most"] is None else -low
    return "pass" if good >= limit else "fail" if bad < limit else "inconclusive"


class Flow:
    """A benchmark that may stop, up to a number of items."""

    def __init__(self, run: tuple[Json, Json, list[Json], Records], name: str) -> None:
        self.plan, self.seal, items, self.records = run
        self.entry = next(entry for entry in self.plan["benchmarks"] if entry["name"] == name)
        self.items = [item for item in items if item["benchmark"] == name]
        self.gates = [gate for gate in self.plan["gates"] if gate["benchmark"] == name]
        self.subjects = [s["name"] for s in self.plan["arms" if self.entry["kind"] == "question" else "models"]]
        assert all(gate["sequential"] and not gate["group"] and not gate["baseline"] for gate in self.gates), "mixed"

    def whole(self, end: int) -> int:
        while 0 < end < len(self.items) and "" != self.items[end]["cluster"] == self.items[end - 1]["cluster"]:
            end -= 1
        return end

    def rows(self, metric: str, subject: str, end: int, group: str = "") -> Rows:
        key, _, value = group.partition("=")
        kept = [item for item in self.items[: self.whole(end)] if not group or item["groups"].get(key) == value]
        found = [self.records.get((self.entry["name"], item["id"], subject)) for item in kept]
        return [(r and r["scores"][metric], item["cluster"]) for r, item in zip(found, kept, strict=True)]

    def looked(self, metric: Json, rows: Rows, tail: float) -> tuple[float | None, float, float, int]:
        known, (low, high) = means(rows, None), bounds(rows, tail)
        value = math.fsum(known) / len(known) if known else None
        if metric["scale"] == "signed":
            return None if value is None else 2 * value - 1, 2 * low - 1, 2 * high - 1, len(known)
        return value, low, high, len(known)

    def ruled(self, end: int) -> Iterator[tuple[Json, str, str, tuple[float | None, float, float, int]]]:
        metrics = {metric["name"]: metric for metric in self.entry["metrics"]}
        for gate in self.gates:
            for subject in [gate["subject"]] if gate["subject"] else self.subjects:
                rows = self.rows(gate["metric"], subject, end)
                found = self.looked(metrics[gate["metric"]], rows, 1 - gate["confidence"])
                yield gate, subject, ruling(gate, found[1], found[2], found[0], found[3]), found

    def stop(self) -> int:
        if "rescored" in self.plan:
            return int(self.plan["rescored"].get("asked", {}).get(self.entry["name"], len(self.items)))
        for end in range(self.plan["unit"], len(self.items), self.plan["unit"]):
            if all(ruled != "inconclusive" for _, _, ruled, _ in self.ruled(end)):
                return end
        return len(self.items)

    def check(self) -> None:
        stop, name = self.stop(), self.entry["name"]
        assert self.seal.get("stopped", {}).get(name, len(self.items)) == stop, f"{name} had to stop after {stop} items"
        sealed = [row for row in self.seal["gates"] if row["benchmark"] == name]
        for row, (gate, subject, ruled, found) in zip(sealed, self.ruled(stop), strict=True):
            said = (row["subject"], row["ruling"], row["at_least"], row["at_most"])
            assert said == (subject, ruled, gate["at_least"], gate["at_most"]), f"{name} is {ruled} for {subject}"
            assert near((row["value"], row["low"], row["high"]), found[:3]), f"the bounds of {name} are {found}"
        for figure in (figure for figure in self.seal["figures"] if figure["benchmark"] == name):
            metric = next(m for m in self.entry["metrics"] if m["name"] == figure["metric"])
            rows = self.rows(metric["name"], figure["subject"], stop, figure["group"])
            wanted = self.looked(metric, rows, 0.025)
            apart = [sum(y == kind for y, _ in rows) for kind in (None, "outside")]
            assert [figure["unscored"], figure["outside"]] == apart or metric["aggregate"] == "agreement", "miscounted"
            told = (figure["value"], figure["low"], figure["high"])
            wide: tuple[float, float] = (-1, 1) if metric["scale"] == "signed" else (0, 1)
            good = near(told, wanted[:3]) if metric["aggregate"] == "mean" else told[1:] == wide
            assert good, f"a figure of {name} is {told} and should be {wanted}"


def near(told: tuple[Any, ...], found: tuple[Any, ...]) -> bool:
    return all(a is b or (None not in {a, b} and abs(a - b) <= 1e-9) for a, b in zip(told, found, strict=True))


def verify(folder: Path) -> None:
    plan, seal = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("plan", "seal"))
    items = [json.loads(line) for line in (folder / "items.jsonl").read_bytes().splitlines()]
    lines = [json.loads(line) for path in folder.glob("journal-*.jsonl") for line in path.read_bytes().splitlines()]
    records = {(r["benchmark"], r["item"], r["subject"]): r for r in lines if r["kind"] == "item"}
    names = {entry["name"] for entry in plan["benchmarks"]}
    stopping = {gate["benchmark"] for gate in plan["gates"] if gate["sequential"]} & names
    assert seal.get("stopped", {}).keys() <= stopping, "a benchmark stopped that has no such gate"
    for name in stopping:
        Flow((plan, seal, items, records), name).check()


if __name__ == "__main__":
    verify(Path(sys.argv[1]))
