"""A verifier of bundles, written from docs/bundle.md with the standard library alone; it shares no code with ours.

It does not read answers anew: those rules are no part of that page. Figures and gates are for `independent_figures.py`,
and whether a run stopped where it had to for `independent_stops.py`.
It says nothing, or ends with 1 and what is wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
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


def disposition(record: Json) -> str:
    action, outcome, verdicts = record["action"], record["outcome"], record["verdicts"]
    led = [{"error": v.get("on_error", "block"), "warn": "allow"}.get(v["action"], v["action"]) for v in verdicts]
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
        return round(math.fsum(m for m, good in zip(masses, right, strict=True) if good) / math.fsum(masses), 12)
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
    assert record["scores"] == scores, f"its scores are {record['scores']} and should be {scores}"
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


def check_order(plan: Json, items: list[Json]) -> None:
    seed = plan["nonce"] or plan["seed"]
    for name in {gate["benchmark"] for gate in plan["gates"] if gate["sequential"]}:
        own = [(item["cluster"], item["id"]) for item in items if item["benchmark"] == name]
        keys = [(digest([seed, cluster, "" if cluster else i]), digest([seed, i])) for cluster, i in own]
        assert keys == sorted(keys), f"the items of {name} do not stand in the order of the nonce"


def work(items: list[Json]) -> int:
    once = {item["cluster"]: item["shared"] for item in items if item["shared"]}
    return int(sum(item["length"] - item["shared"] for item in items) + sum(once.values()))


def dealt(lots: list[list[Json]], world: int, turn: int) -> list[list[Json]]:
    shares: list[list[Json]] = [[] for _ in range(world)]
    for n, lot in enumerate(sorted(lots, key=lambda lot: -work(lot))):
        shares[((n % world if n // world % 2 == 0 else world - 1 - n % world) + turn) % world] += lot
    return shares


def recorders(plan: Json, items: list[Json], world: int) -> dict[Any, int]:
    """Benchmark and item → the process that records it."""
    found: dict[Any, int] = {}
    for entry in plan["benchmarks"]:
        own, size = [item for item in items if item["benchmark"] == entry["name"]], plan["unit"] * world
        for turn, first in enumerate(range(0, len(own), size)):
            singly: list[list[Json]] = [[item] for item in own[first : first + size]]
            alike: dict[Any, list[Json]] = {}
            for [item] in singly:
                alike.setdefault(item["cluster"] if item["shared"] else (item["id"],), []).append(item)
            ways = [dealt(lots, world, turn) for lots in ([*alike.values()], singly)]
            shares = min(ways, key=lambda shares: max(map(work, shares)))
            found |= {(i["benchmark"], i["id"]): rank for rank, share in enumerate(shares) for i in share}
    return found


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
    check_order(plan, items)
    for _, row in (line for path in run.glob("texts-*.jsonl") for line in lines(path)):
        salt = bytes.fromhex(row["salt"])
        assert (len(salt), digest(salt + row["text"].encode())) == (16, row["digest"]), "a text was changed"
        texts[row["digest"]] = row["text"]
    for entry in plan["benchmarks"]:
        for place, item in enumerate(i for i in items if i["benchmark"] == entry["name"]):
            unit += place % plan["unit"] == 0
            asked = place < seal.get("stopped", {}).get(entry["name"], len(items))
            for subject in subjects(plan, entry) if asked else []:
                identity = subject.get("pipeline") or subject["digest"]
                planned[entry["name"], item["id"], subject["name"]] = (len(planned), unit, item, identity, entry)
    shards, records = [shard(path, digest(raw)) for path in sorted(run.glob("journal-*.jsonl"))], {}
    owners = recorders(plan, items, len(shards))
    for opened, found, _ in shards:
        for record in found:
            key = (record["benchmark"], record["item"], record["subject"])
            _, unit, item, identity, entry = planned[key]
            assert (record["unit"], record["digest"], record["identity"]) == (unit, item["digest"], identity), key
            assert (key in records, owners[key[:2]]) == (False, opened["rank"]), f"{key} does not belong here"
            check_record(record, entry, item, texts)
            records[key] = record
        places = [planned[r["benchmark"], r["item"], r["subject"]][0] for r in found]
        assert places == sorted(places), "records are out of order"
    assert len(records) == len(planned) == seal["records"], "another number of records"
    assert seal.get("stopped") or len(planned) == plan["records"], "another number of records than planned"
    assert sorted((s[2] for s in shards), key=lambda row: row["rank"]) == seal["shards"], "other shards are sealed"
    assert all(opened["world"] == len(shards) for opened, *_ in shards), "a shard is missing"
    wanted = (digest(raw), "complete", min(s[0]["started"] for s in shards), len(seal["earlier"]) + 1)
    assert (seal["plan"], seal["status"], seal["started"], seal["attempt"]) == wanted, "the seal is of another run"
    bare = ({k: v for k, v in r.items() if k not in {"n", "prev", "seconds", "sureness"}} for r in records.values())
    each = sorted(hashlib.sha256(canonical(record).encode()).digest() for record in bare)
    assert seal["results"] == digest(b"".join(each)), "the results are others"


if __name__ == "__main__":
    verify(Path(sys.argv[1]))
