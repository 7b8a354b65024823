"""Figures, gates and verdict of a bundle computed again, from docs/bundle.md with the standard library alone.

It takes records as they are (`independent_verifier.py` does not). Benchmarks that may stop early are for
`independent_stops.py`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]


class Run(NamedTuple):
    plan: Json
    seal: Json
    items: list[Json]
    records: dict[Any, Json]


def subjects(plan: Json, entry: Json) -> list[Json]:
    return list(plan["arms" if entry["kind"] == "question" else "models"])


Row = tuple[Any, str, str]
Z = 1.17498679206609


def beta(a: float, b: float, x: float) -> float:
    if x * (a + b + 2) > a + 1:
        return 1 - beta(b, a, 1 - x)
    whole, c, d = 1.0, 1.0, 0.0
    for n in range(1, 5000):
        m = n // 2
        odd, even = -(a + m) * (a + b + m) / (a + 2 * m) / (a + n), m * (b - m) / (a + n - 1) / (a + n)
        step = x * (odd if n % 2 else even)
        c, d = 1 + step / c, 1 / (1 + step * d)
        whole *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x or 1e-300) + b * math.log1p(-x)
    return math.exp(scale) / a / whole


def quantile(a: float, b: float, q: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        low, high = (low, (low + high) / 2) if beta(a, b, (low + high) / 2) > q else ((low + high) / 2, high)
    return low


def linear(
    rows: list[Row],
) -> tuple[float, float, dict[Any, float], int, int]:  # value, worth, residuals, classes, least
    cells, r, w = (defaultdict[Any, list[float]](list) for _ in range(3))
    for place, (y, cluster, name) in enumerate(rows):
        cells[cluster or place, name].append(y)
    count = Counter(name for *_, name in rows)
    p = {k: math.fsum(y for y, _, name in rows if name == k) / count[k] for k in count}
    least = [sum(name == k for _, name in cells) for k in count]
    for (cluster, k), ys in cells.items():
        r[cluster].append((math.fsum(ys) - len(ys) * p[k]) / len(p) / count[k])
        w[cluster].append(len(ys) / len(p) / count[k])
    error, n = {g: math.fsum(x) for g, x in r.items()}, len(p) ** 2 / math.fsum(1 / x for x in count.values())
    value, squares, floor = math.fsum(p.values()) / len(p), [x * x for x in error.values()], len(p) * min(least)
    if all(math.sqrt(x) * n < 1e-9 for x in squares):
        return value, floor, error, len(p), floor
    held = [len({g for (g, _), ys in cells.items() if any(y != end for y in ys)}) for end in (0, 1)]
    carrying = math.fsum(squares) ** 2 / math.fsum(x * x for x in squares) if len(p) > 1 else len(rows)
    weight = {g: math.fsum(x) for g, x in w.items()}
    kish = 1 / math.fsum(x * x for x in weight.values())
    f = max(1, min(len(error) - 1, *held, 1.5 * kish, carrying))
    near = [((p[k] * g + 0.5) / (g + 1), g) for k, g in zip(count, least, strict=True) if p[k] in {0, 1}]
    v = math.fsum(x * x / (1 - weight[g]) for g, x in error.items()) + math.fsum(
        x * (1 - x) / g / len(p) ** 2 for x, g in near
    )
    worth = value * (1 - value) / v * n / (n - 1) * max(0, 1 - 2 / 9 / f - Z * math.sqrt(2 / 9 / f)) ** 3
    return value, min(n, max(worth, min(kish, floor))), error, len(p), floor


def interval(rows: list[Row], tail: float) -> tuple[float, float]:
    p, n, _, classes, floor = linear(rows) if rows else (0, 0, {}, 1, 0)
    if floor < 10 * classes:
        return 0.0, 1.0
    low = quantile(p * n, (1 - p) * n + 1, tail) if p > 0 else 0.0
    return min(p, low), max(p, quantile(p * n + 1, (1 - p) * n, 1 - tail) if p < 1 else 1.0)


def filled(rows: list[Row], missing: float) -> list[Row]:
    return [(missing if y is None else y, cluster, name) for y, cluster, name in rows]


def bounded(rows: list[Row], tail: float) -> tuple[float | None, float, float]:
    known = [row for row in rows if row[0] is not None]
    value = linear(known)[0] if known and {k for *_, k in known} == {k for *_, k in rows} else None
    return value, interval(filled(rows, 0), tail)[0], interval(filled(rows, 1), tail)[1]


def agreed(metric: Json, found: list[Row]) -> list[Row]:
    """What a metric's rows are: of agreement one a class with several items, of others they are as they stand."""
    if metric["aggregate"] != "agreement":
        return found
    classes: dict[str, list[Row]] = {}
    for row in found:
        if row[0] != "outside":
            classes.setdefault(row[2], []).append(row)
    several = [rows for rows in classes.values() if len(rows) > 1]
    pairs = [[(a, b) for n, (a, *_) in enumerate(rows) for b, *_ in rows[:n]] for rows in several]
    scores = [
        None if any(None in both for both in of) else math.fsum(a * b + (1 - a) * (1 - b) for a, b in of) / len(of)
        for of in pairs
    ]
    return [(score, rows[0][1], "") for score, rows in zip(scores, several, strict=True)]


def estimate(metric: Json, found: list[Row], tail: float) -> tuple[float | None, float, float]:
    if metric["aggregate"] == "agreement":
        return bounded(agreed(metric, found), tail)
    rows = [(y, cluster, name if metric["over"] else "") for y, cluster, name in found if y != "outside"]
    names = {name if metric["over"] else "" for *_, name in found}
    rows += [(None, "", name) for name in names - {name for *_, name in rows}]
    if metric["aggregate"] != "gap":
        value, low, high = bounded(rows, tail)
    else:
        parts = [bounded([row for row in rows if row[2] == name], tail / len(names)) for name in names]
        values = [part[0] for part in parts if part[0] is not None]
        value = max(values) - min(values) if len(values) == len(parts) > 1 else None
        pairs = [(a, b) for a in parts for b in parts if a is not b]
        low = max([0.0, *(a[1] - b[2] for a, b in pairs)])
        high = max((a[2] - b[1] for a, b in pairs), default=1.0)
    signed = metric["scale"] == "signed"
    return (None if value is None else 2 * value - 1, 2 * low - 1, 2 * high - 1) if signed else (value, low, high)


def step(metric: Json, one: list[Row], other: list[Row], tail: float) -> tuple[float | None, float, float]:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if "outside" not in {a[0], b[0]}]
    named = metric["aggregate"] == "balanced"
    names = {name for *_, name in one} - {a[2] for a, _ in pairs} if named else set()
    pairs += [((None, "", name), (None, "", name)) for name in names]

    def parts(missing: float, pairs: Any) -> list[list[Row]]:
        a, b = filled([a for a, _ in pairs], missing), filled([b for _, b in pairs], 1 - missing)
        steps = [(x[0] - y[0], x[1], x[2] if named else "") for x, y in zip(a, b, strict=True)]
        return [[(max(0, s * sign), c, k) for s, c, k in steps] for sign in (1, -1)]

    def bound(missing: float, sign: int) -> float:
        up, down = parts(missing, pairs)
        (p, _, r, classes, floor), (q, _, s, *_) = linear(up), linear(down)
        if floor < 10 * classes:
            return sign
        side = (sign + 1) // 2
        x, y = abs(interval(up, tail)[side] - p), abs(interval(down, tail)[1 - side] - q)
        both = math.sqrt(math.fsum(e * e for e in r.values()) * math.fsum(e * e for e in s.values()))
        rho = max(-1.0, min(0, math.fsum(e * s[g] for g, e in r.items()) / both)) if both else 0
        return min(1.0, max(-1.0, p - q + sign * math.sqrt(max(0, x * x + y * y - 2 * rho * x * y))))

    known = [(a, b) for a, b in pairs if a[0] is not None and b[0] is not None]
    complete = known and (not named or {a[2] for a, _ in known} == {a[2] for a, _ in pairs})
    value = linear(parts(0, known)[0])[0] - linear(parts(0, known)[1])[0] if complete else None
    by = (-1 if metric["lower_is_better"] else 1) * (2 if metric["scale"] == "signed" else 1)
    low, high = sorted((by * bound(0, -1), by * bound(1, 1)))
    return None if value is None else by * value, low, high


# --- rates corrected for what a scorer misses ------------------------------------------------------


def quantiles(hits: float, misses: float, places: list[float]) -> list[float]:
    """Of a beta distribution with half a hit and half a miss more, at many places, each found from the one before."""
    a, b = hits + 0.5, misses + 0.5
    order = sorted(range(len(places)), key=places.__getitem__)
    found, x = [0.0] * len(places), quantile(a, b, places[order[0]])
    whole = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for n in order:
        for _ in range(40):
            x = min(1 - 1e-16, max(1e-300, x))
            slope = math.exp(whole + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))
            step = (beta(a, b, x) - places[n]) / (slope or 1e-300)
            step /= max(0.5, 1 - step / 2 * ((a - 1) / x - (b - 1) / (1 - x)))
            x = min((x + 1) / 2, max(x / 2, x - step))
            if abs(step) < 1e-13:
                break
        found[n] = x
    return found


def points() -> list[list[float]]:
    g = 1.0
    for _ in range(60):
        g = (1 + g) ** 0.25
    return [[(0.5 + n / g**power) % 1 for n in range(1, 4097)] for power in (1, 2, 3)]


def corrected(quality: Json | None, group: str, rows: list[Row], tail: float) -> Json:
    """`corrected` of a figure, but for its words; nothing at all where its value is enough: that there is none."""
    if not quality:
        return {"corrected": None}
    counts = quality["counts"].get(group)
    kept = [(y, cluster, "") for y, cluster, _ in rows if y != "outside"]
    known = [row for row in kept if row[0] is not None]
    if counts is None or not known:
        return {"corrected": {"value": None}}
    tp, fn, tn, fp = (counts[key] for key in ("tp", "fn", "tn", "fp"))
    sensitivity, specificity = (x / (x + y) if x + y else 0.0 for x, y in ((tp, fn), (tn, fp)))
    if sensitivity + specificity - 1 < 0.3:
        return {"corrected": {"value": None}}
    one, two, three = points()
    right, left = quantiles(tp, fn, two), quantiles(tn, fp, three)

    def rate(part: list[Row], q: float) -> float:
        p, worth, _, _, floor = linear(part)
        n = worth if floor >= 10 else 0.0
        seen, rates = quantiles(p * n, (1 - p) * n, one), []
        for k, (y, se, sp) in enumerate(zip(seen, right, left, strict=True)):
            knows = se + sp - 1
            rates.append(min(1.0, max(0.0, (y + sp - 1) / knows)) if knows > 0 else float(k % 2))
        return sorted(rates)[min(4095, max(0, math.floor(q * 4096)))]

    low, high = rate(filled(kept, 0), tail), rate(filled(kept, 1), 1 - tail)
    told = {"value": rate(known, 0.5), "low": low, "high": high}
    return {"corrected": told | {"sensitivity": sensitivity, "specificity": specificity}}


def rows_of(run: Run, name: str, subject: str, metric: Json, group: str) -> tuple[list[Row], Json]:
    key, _, value = group.partition("=")
    found = [i for i in run.items if i["benchmark"] == name and (not group or i["groups"].get(key) == value)]
    kept = [run.records[name, i["id"], subject] for i in found]
    over = [i["groups"].get(metric["over"], "") for i in found]
    rows = [(r["scores"][metric["name"]], i["cluster"], k) for i, r, k in zip(found, kept, over, strict=True)]
    return rows, dict(Counter(r["disposition"] for r in kept))


def figures(run: Run) -> Iterator[Json]:
    for entry, subject in ((b, s) for b in run.plan["benchmarks"] for s in subjects(run.plan, b)):
        own = [item["groups"] for item in run.items if item["benchmark"] == entry["name"]]
        for metric in entry["metrics"]:
            which = {"benchmark": entry["name"], "subject": subject["name"], "metric": metric["name"]}
            by = [f"{key}={value}" for key in metric["by"] for value in sorted({g[key] for g in own if key in g})]
            for group in ["", *by] if entry["name"] not in sequential(run.plan) else []:
                rows, counts = rows_of(run, entry["name"], subject["name"], metric, group)
                value, low, high = estimate(metric, rows, 0.025)
                outside, kept = sum(row[0] == "outside" for row in rows), agreed(metric, rows)
                scored = [cluster for y, cluster, _ in kept if y not in {None, "outside"}]
                told: Json = {"group": group, "value": value, "low": low, "high": high, "counts": counts}
                told["circular"] = shared(metric["quality"], subject)
                told |= {"unscored": sum(y is None for y, *_ in kept), "outside": outside}
                told |= {"n": len(scored), "clusters": clusters(scored)}
                yield which | told | corrected(metric["quality"], group, kept, 0.025)


def shared(quality: Json | None, subject: Json) -> list[str]:
    own = {*quality["weights"], *quality["rows"]} if quality and "pipeline" in subject else set()
    guards = [guard for guard in subject["identity"].get("guards", []) if own]
    return sorted(g["name"] for g in guards if own & set(re.findall("sha256:[0-9a-f]{64}", json.dumps(g))))


def sequential(plan: Json) -> set[str]:
    return {gate["benchmark"] for gate in plan["gates"] if gate["sequential"]}


def clusters(names: list[str]) -> int:
    return len(set(names) - {""}) + names.count("")


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return abs(a - b) <= 1e-9 if numbers else bool(a == b)


def check_gates(run: Run) -> None:
    plan, seal = run.plan, run.seal
    ran, rows, rulings = {b["name"]: b for b in plan["benchmarks"]}, list(seal["gates"]), []
    for gate in plan["gates"]:
        entry = ran.get(gate["benchmark"])
        own = "" if gate["baseline_run"] else gate["baseline"]
        mine = [m for m in entry["metrics"] if m["name"] == gate["metric"]] if entry else []
        names = [s["name"] for s in subjects(plan, entry) if s["name"] != own] if entry else [""]
        for subject in [gate["subject"]] if gate["subject"] else names or [""]:
            if gate["sequential"]:
                rulings.append(rows.pop(0)["ruling"])  # it is for the other script
                continue
            f, sign = looked(run, gate, entry, subject) or (None, None, None, 0), 1 if gate["at_most"] is None else -1
            limit = gate["at_least" if sign > 0 else "at_most"] if gate["margin"] is None else -gate["margin"]
            told, n = dict(zip(("value", "low", "high"), f, strict=False)), f[3]
            good = told["value"] is not None and n >= 10 and not gate["labels"]
            good = good and not any(
                shared(m["quality"], s) for m in mine for s in plan["arms"] if s["name"] in {subject, own}
            )
            holds = good and sign * told["low" if sign > 0 else "high"] >= sign * limit
            missed = good and sign * told["high" if sign > 0 else "low"] < sign * limit
            rulings.append("pass" if holds else "fail" if missed else "inconclusive")
            row = gate | told | {"subject": subject, "ruling": rulings[-1], "reason": rows[0]["reason"]}
            assert same(row, rows.pop(0)), f"the seal does not say {row}"
    doubt = "inconclusive" in rulings or plan["absent"]
    verdict = "fail" if "fail" in rulings else "inconclusive" if doubt else "pass" if rulings else "none"
    assert (rows, seal["verdict"]) == ([], verdict), f"the verdict is {seal['verdict']} and should be {verdict}"


def looked(run: Run, gate: Json, entry: Json | None, subject: str) -> Any:
    metric = next((m for m in entry["metrics"] if m["name"] == gate["metric"]), None) if entry else None
    if metric is None or not subject:
        return None
    both = [s for s in (subject, f"{gate['baseline_run']}{gate['baseline']}") if s]
    found, tail = [rows_of(run, gate["benchmark"], s, metric, gate["group"])[0] for s in both], 1 - gate["confidence"]
    empty = not found[0]
    found = [agreed(metric, rows) for rows in found]
    metric = metric | {"aggregate": "mean"} if metric["aggregate"] == "agreement" else metric
    good = [[row[0] not in {None, "outside"} for row in rows] for rows in found]
    n = clusters([row[1] for row, *fine in zip(found[0], *good, strict=True) if all(fine)])
    if empty:
        return None
    if gate["baseline"]:
        return *step(metric, found[0], found[1], tail), n
    value, low, high = estimate(metric, found[0], tail)
    if not metric["quality"]:
        return value, low, high, n
    both = corrected(metric["quality"], gate["group"], found[0], tail)["corrected"]
    if both["value"] is None:
        return value, 0.0, 1.0, n
    return value, min(low, both["low"]), max(high, both["high"]), n


def verify(folder: Path) -> None:
    plan, seal = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("plan", "seal"))
    items = [json.loads(line) for line in (folder / "items.jsonl").read_bytes().splitlines()]
    lines = [json.loads(line) for path in folder.glob("journal-*.jsonl") for line in path.read_bytes().splitlines()]
    records = {(r["benchmark"], r["item"], r["subject"]): r for r in lines if r["kind"] == "item"}
    for b in plan["baselines"]:
        for item, y in zip([i["id"] for i in items if i["benchmark"] == b["benchmark"]], b["scores"], strict=True):
            row = records.setdefault((b["benchmark"], item, b["run"] + b["subject"]), {"scores": {}, "disposition": ""})
            row["scores"][b["metric"]] = y
    usual = [figure for figure in seal["figures"] if figure["benchmark"] not in sequential(plan)]
    for a, b in zip(figures(run := Run(plan, seal, items, records)), usual, strict=True):
        a["corrected"] = a["corrected"] and b["corrected"] | a["corrected"]  # with its words
        assert same(b | a, b), f"a figure is {b} and should be {a}"
    check_gates(run)


if __name__ == "__main__":
    verify(Path(sys.argv[1]))
