"""A verifier of bundles, written from docs/bundle.md with the standard library alone; it shares no code with ours.

It does not read answers anew: those rules are no part of that page. It says nothing, or ends with 1 and what is wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

Json = dict[str, Any]


def number(value: float) -> str:
    """As ECMAScript prints it."""
    if not value:
        return "0"
    sign, digits, exponent = re.findall(r"(-?)([\d.]+)(?:e(.+))?", repr(value))[0]
    whole, _, part = digits.partition(".")
    point = len(whole) + int(exponent or 0) - (len(whole + part) - len((whole + part).lstrip("0")))
    figures = (whole + part).strip("0")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    if 0 < point <= 21:
        return f"{sign}{figures[:point].ljust(point, '0')}{'.' * (len(figures) > point)}{figures[point:]}"
    return f"{sign}{figures[0]}{'.' * (len(figures) > 1)}{figures[1:]}e{point - 1:+d}"


def canonical(value: Any) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    plain = isinstance(value, bool) or not isinstance(value, int | float)
    return json.dumps(value, ensure_ascii=False) if plain else number(value)


def subjects(plan: Json, entry: Json) -> list[Json]:
    return list(plan["arms" if entry["kind"] == "question" else "models"])


def digest(data: Any) -> str:
    data = data if isinstance(data, bytes) else canonical(data).encode()
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def lines(path: Path) -> Iterator[tuple[bytes, Json]]:
    *whole, rest = path.read_bytes().split(b"\n")
    assert not rest, f"{path.name} ends within a line"
    for raw in whole:
        fields = json.loads(raw)
        assert canonical(fields).encode() == raw, f"{path.name}: not canonical"
        yield raw, fields


def student(f: int, z: float) -> float:
    q = NormalDist().cdf(z)
    if f <= 2:
        return math.tan(math.pi * (q - 0.5)) if f == 1 else (2 * q - 1) / math.sqrt(2 * q * (1 - q))
    a = (z**3 + z) / 4
    b = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    c = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    d = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + a / f + b / f**2 + c / f**3 + d / f**4


Rows = list[tuple[Any, str, str]]


def linear(rows: Rows, classes: set[str]) -> tuple[float, float, list[float]]:
    cells, errors = defaultdict[Any, list[float]](list), defaultdict[Any, list[float]](list)
    for place, (score, cluster, name) in enumerate(rows):
        cells[cluster or place, name].append(score)
    count = Counter(name for *_, name in rows)
    p = {name: math.fsum(y for y, _, k in rows if k == name) / count[name] for name in classes}
    for (cluster, name), ys in cells.items():
        errors[cluster].append((math.fsum(ys) - len(ys) * p[name]) / (len(p) * count[name]))
    size = len(p) ** 2 / math.fsum(1 / count[name] for name in p)
    return math.fsum(p.values()) / len(p), size, [math.fsum(parts) for parts in errors.values()]


def interval(rows: Rows, classes: set[str], z: float) -> tuple[float, float]:
    if not rows:
        return 0.0, 1.0
    p, size, r = linear(rows, classes)
    m: float = min(len(r), size)
    if any(abs(x) * size >= 1e-9 for x in r):
        v = len(r) / (len(r) - 1) * math.fsum(x * x for x in r)
        certainty = student(max(1, round(size) - 1), z) / student(len(r) - 1, z)
        m = min(size, max(1, p * (1 - p) / v * size / (size - 1) * certainty**2))
    half, scale = z * math.sqrt(p * (1 - p) / m + (z / (2 * m)) ** 2), 1 + z * z / m
    low, high = ((p + z * z / (2 * m) + x) / scale for x in (-half, half))
    return max(0.0, min(p, low)), min(1.0, max(p, high))


def bounded(rows: Rows, classes: set[str], confidence: float) -> tuple[float | None, float, float]:
    known, z = [row for row in rows if row[0] is not None], NormalDist().inv_cdf((1 + confidence) / 2)
    scored = {k for *_, k in known}
    rows = rows + [(None, "", k) for k in classes - {k for *_, k in rows}]
    low = interval([(y or 0.0, c, k) for y, c, k in rows], classes, z)[0]
    high = interval([(1.0 if y is None else y, c, k) for y, c, k in rows], classes, z)[1]
    return linear(known, scored)[0] if known and scored == classes else None, low, high


def agreeing(rows: list[tuple[Any, str, str]]) -> Iterator[tuple[Any, str, str]]:
    for name in {k: k for _, _, k in rows}:
        y = [y for y, _, k in rows if k == name]
        if len(y) > 1:
            both = [] if None in y else [a * b + (1 - a) * (1 - b) for n, a in enumerate(y) for b in y[:n]]
            yield math.fsum(both) / len(both) if both else None, next(c for _, c, k in rows if k == name), ""


def figure(found: list[tuple[Any, str, str, str]], metric: Json) -> Json:
    inside = [(y, c, k) for y, c, k, _ in found if y != "outside"]
    rows = list(agreeing(inside)) if metric["aggregate"] == "agreement" else inside
    classes = {k for _, _, k, _ in found} if metric["over"] and rows is inside else {""}
    known = [(y, c, k) for y, c, k in rows if y is not None]
    if metric["aggregate"] == "gap":
        each = 1 - 0.05 / len(classes)
        parts = [bounded([(y, c, "") for y, c, k in rows if k == name], {""}, each) for name in classes]
        values = [value for value, _, _ in parts if value is not None]
        value = max(values) - min(values) if len(values) == len(parts) > 1 else None
        low = max(0.0, *(a[1] - b[2] for a in parts for b in parts if a is not b), 0.0)
        high = max((a[2] - b[1] for a in parts for b in parts if a is not b), default=1.0)
    else:
        value, low, high = bounded(rows, classes, 0.95)
    if metric["scale"] == "signed":
        value, low, high = value and 2 * value - 1 if value is not None else None, 2 * low - 1, 2 * high - 1
    return {
        "value": value,
        "low": low,
        "high": high,
        "n": len(known),
        "clusters": len({c for _, c, _ in known if c}) + sum(not c for _, c, _ in known),
        "unscored": len(rows) - len(known),
        "outside": len(found) - len(inside),
        "counts": dict(Counter(disposition for *_, disposition in found)),
    }


def figures(plan: Json, items: list[Json], records: dict[Any, Json]) -> Iterator[Json]:
    for entry, subject in ((b, s) for b in plan["benchmarks"] for s in subjects(plan, b)):
        own = [(i, records[entry["name"], i["id"], subject["name"]]) for i in items if i["benchmark"] == entry["name"]]
        for metric in entry["metrics"]:
            which = {"benchmark": entry["name"], "subject": subject["name"], "metric": metric["name"]}
            groups = {(k, i["groups"][k]) for k in metric["by"] for i, _ in own if k in i["groups"]}
            for key, value in [("", ""), *sorted(groups, key=lambda group: (metric["by"].index(group[0]), group[1]))]:
                found = [(i, r) for i, r in own if not key or i["groups"].get(key) == value]
                classed = [(i, i["groups"].get(metric["over"], ""), r) for i, r in found]
                rows = [(r["scores"][metric["name"]], i["cluster"], k, r["disposition"]) for i, k, r in classed]
                yield which | {"group": f"{key}={value}" if key else ""} | figure(rows, metric)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return abs(a - b) <= 1e-9 if numbers else bool(a == b)


def disposition(record: Json) -> str:
    action, outcome, verdicts = record["action"], record["outcome"], record["verdicts"]
    led = [v.get("on_error", "block") if v["action"] == "error" else v["action"] for v in verdicts]
    broken = any(v["action"] == "error" and effect != "allow" for v, effect in zip(verdicts, led, strict=True))
    first = {effect for v, effect in zip(verdicts, led, strict=True) if v["stage"] == "input"}
    shown = action in {"allow", "redact"}
    assert shown == (record["answer"] is not None), "an answer where there is none, or none where there is one"
    assert (record["value"] is None) == (outcome != "extracted"), "a value that was not extracted"
    assert action != "block" or "block" in led, "blocked by nobody"
    assert not shown or first <= {"allow", "redact"}, "an answer to what was stopped"
    if action in {"error", "revise"} or broken:
        return "error"
    withheld = "blocked" if action == "block" else "empty" if outcome == "empty" else "abstained"
    return withheld if not shown else "answered" if outcome == "extracted" else str(outcome)


def rated(rows: list[Any], item: Json, metric: Json, rule: str) -> Any:
    texts, labels, worth = item["request"]["continuations"], {"gold": item["gold"]} | item["labels"], metric["worth"]
    if len(rows) != len(texts) or any(row[0] is None for row in rows):
        return None
    among = [n for n in range(len(texts)) if not metric["among"] or str(n) in labels.get(metric["among"], [])]
    worth = {k: w for k, w in (worth or {"gold": 1}).items() if any(str(n) in labels.get(k, []) for n in among)}
    shares = {
        k: share([rows[n] for n in among], [texts[n] for n in among], rule, [str(n) in labels[k] for n in among])
        for k in worth
    }
    outside = sum(shares[k] for k in worth if worth[k] == "outside")
    inside = sum(shares[k] * w for k, w in worth.items() if w != "outside")
    return None if not worth else "outside" if outside >= 1 else min(1.0, inside / (1 - outside))


def share(rows: list[Any], texts: list[str], rule: str, right: list[bool]) -> float:
    if rule == "greedy":
        return float(any(row[2] and good for row, good in zip(rows, right, strict=True)))
    if rule == "likelihood-mass":
        masses = [math.exp(row[0] - max(r[0] for r in rows)) for row in rows]
        return sum(mass for mass, good in zip(masses, right, strict=True) if good) / sum(masses)
    per = {"likelihood": [1 for _ in rows], "likelihood-per-token": [row[1] for row in rows]}
    per["likelihood-per-character"] = [max(1, len(text.strip())) for text in texts]
    values = [row[0] / by for row, by in zip(rows, per[rule], strict=True)]
    best = [n for n, value in enumerate(values) if value == max(values)]
    return sum(right[n] for n in best) / len(best)


def check_record(record: Json, entry: Json, line: Json, texts: dict[str, str]) -> None:
    rows, item, known, first = record["likelihoods"], None, record["scores"], entry["metrics"][0]
    if record["question"] in texts:
        item = json.loads(texts[record["question"]])
        assert digest(texts[record["question"]].encode()) == record["digest"], "the item's text is not the plan's"
        assert all(item[key] == line[key] for key in ("id", "cluster", "groups")), "the item is not that of its line"
    if entry["kind"] == "question":
        wanted = disposition(record)
    else:
        if item and rows:
            known = {m["name"]: rated(rows, item, m, m["rule"] or entry["scoring"]) for m in entry["metrics"]}
        wanted = "error" if rows is None or known[first["name"]] is None else "answered"
    assert record["disposition"] == wanted, f"it is {record['disposition']} and should be {wanted}"
    worth = {m["name"]: m["credit"].get(wanted) for m in entry["metrics"]}
    scores = known if wanted == "answered" else worth
    assert same(record["scores"], scores), f"its scores are {record['scores']} and should be {scores}"
    one, full = scores[first["name"]], 0 if first["lower_is_better"] else 1
    mark = "unscored" if one in {None, "outside"} else "pass" if one == full else "fail"
    assert record["mark"] == mark, f"it is marked {record['mark']} and should be {mark}"


def shard(path: Path, plan: str) -> tuple[Json, list[Json], Json]:
    prev, found = plan, list(lines(path))
    for n, (raw, fields) in enumerate(found):
        good = (fields["n"], fields["prev"], fields["kind"] == "open") == (n, prev, n == 0)
        assert good, f"{path.name}, line {n + 1}: the chain is broken"
        prev = digest(raw)
    opened, *rest = (fields for _, fields in found)
    assert opened["plan"] == plan, "it is of another plan"
    sealed = {"rank": opened["rank"], "file": path.name, "lines": len(found), "head": prev}
    return opened, [fields for fields in rest if fields["kind"] == "item"], sealed


def check_gates(plan: Json, found: list[Json], seal: Json) -> None:
    known = {tuple(f[k] for k in ("benchmark", "subject", "metric", "group")): f for f in found}
    ran, rows, rulings = {b["name"]: subjects(plan, b) for b in plan["benchmarks"]}, list(seal["gates"]), []
    for gate in plan["gates"]:
        one = gate["subject"] or gate["benchmark"] not in ran
        for subject in [gate["subject"]] if one else [s["name"] for s in ran[gate["benchmark"]]]:
            key = (gate["benchmark"], subject, gate["metric"], gate["group"])
            f: Json = {name: known[key][name] if key in known else None for name in ("value", "low", "high")}
            sign, limit = (1, gate["at_least"]) if gate["at_most"] is None else (-1, gate["at_most"])
            missed = f["value"] is not None and sign * f["value"] < sign * limit
            holds = f["value"] is not None and sign * f["low" if sign > 0 else "high"] >= sign * limit
            rulings.append("pass" if holds else "fail" if missed else "inconclusive")
            row = gate | f | {"subject": subject, "ruling": rulings[-1], "reason": rows[0]["reason"]}
            assert same(row, rows.pop(0)), f"the seal does not say {row}"
    doubt = "inconclusive" in rulings or plan["absent"]
    verdict = "fail" if "fail" in rulings else "inconclusive" if doubt else "pass" if rulings else "none"
    assert (rows, seal["verdict"]) == ([], verdict), f"the verdict is {seal['verdict']} and should be {verdict}"


def verify(run: Path) -> None:
    [(raw, plan)], [(_, seal)] = lines(run / "plan.json"), lines(run / "seal.json")
    models = {model["name"]: model["identity"] for model in plan["models"]}
    assert plan["format"] == seal["format"] == 1, "another format"
    named = [(row["identity"], row.get("pipeline") or row["digest"]) for row in plan["arms"] + plan["models"]]
    assert all(digest(identity) == wanted for identity, wanted in named), "an arm or model is another"
    assert all(a["identity"]["model"] == models[a["model"]] for a in plan["arms"]), "an arm is of another model"
    assert digest((run / "items.jsonl").read_bytes()) == plan["items"]["digest"], "the items are not the plan's"
    items, unit = [fields for _, fields in lines(run / "items.jsonl")], -1
    texts: dict[str, str] = {}
    planned: dict[Any, tuple[Any, ...]] = {}
    for _, row in (line for path in run.glob("texts-*.jsonl") for line in lines(path)):
        salt = bytes.fromhex(row["salt"])
        assert (len(salt), digest(salt + row["text"].encode())) == (16, row["digest"]), "a text was changed"
        texts[row["digest"]] = row["text"]
    for entry in plan["benchmarks"]:
        for place, item in enumerate(i for i in items if i["benchmark"] == entry["name"]):
            unit += place % plan["unit"] == 0
            for subject in subjects(plan, entry):
                identity = subject.get("pipeline") or subject["digest"]
                planned[entry["name"], item["id"], subject["name"]] = (len(planned), unit, item, identity, entry)
    shards, records = [shard(path, digest(raw)) for path in sorted(run.glob("journal-*.jsonl"))], {}
    for opened, found, _ in shards:
        for record in found:
            key = (record["benchmark"], record["item"], record["subject"])
            _, unit, item, identity, entry = planned[key]
            assert (record["unit"], record["digest"], record["identity"]) == (unit, item["digest"], identity), key
            assert (key in records, unit % opened["world"]) == (False, opened["rank"]), f"{key} does not belong here"
            check_record(record, entry, item, texts)
            records[key] = record
        places = [planned[r["benchmark"], r["item"], r["subject"]][0] for r in found]
        assert places == sorted(places), "records are out of order"
    assert len(records) == len(planned) == plan["records"] == seal["records"], "another number of records"
    assert sorted((s[2] for s in shards), key=lambda row: row["rank"]) == seal["shards"], "other shards are sealed"
    assert all(opened["world"] == len(shards) for opened, *_ in shards), "a shard is missing"
    wanted = (digest(raw), "complete", min(s[0]["started"] for s in shards), len(seal["earlier"]) + 1)
    assert (seal["plan"], seal["status"], seal["started"], seal["attempt"]) == wanted, "the seal is of another run"
    bare = ({k: v for k, v in r.items() if k not in {"n", "prev", "seconds"}} for r in records.values())
    each = sorted(hashlib.sha256(canonical(record).encode()).digest() for record in bare)
    assert seal["results"] == digest(b"".join(each)), "the results are others"
    computed = list(figures(plan, items, records))
    assert all(same(a, b) for a, b in zip(computed, seal["figures"], strict=True)), "a figure is another"
    check_gates(plan, computed, seal)


if __name__ == "__main__":
    verify(Path(sys.argv[1]))
