"""What somebody could do to a bundle who can write to its folder, and knows the format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orca_guard.errors import BadInput
from orca_guard.figures import Measured, results_digest
from orca_guard.gates import Found, Look, evaluate, gates_of, result_json, verdict
from orca_guard.identity import canonical, digest_bytes, digest_of, digest_text
from orca_guard.items import item_json, item_of
from orca_guard.journal.texts import address_of

Line = dict[str, Any]


class Forger:
    """A bundle taken into memory, to be changed and put back: as it is, with a new chain, or with a new seal too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan: Line = json.loads((folder / "plan.json").read_bytes())
        self.items = _lines(folder / "items.jsonl")
        self.shards = {_rank(path): _lines(path) for path in sorted(folder.glob("journal-*.jsonl"))}
        self.texts = {_rank(path): _lines(path) for path in sorted(folder.glob("texts-*.jsonl"))}
        self.seal: Line = json.loads((folder / "seal.json").read_bytes())

    # --- looking -------------------------------------------------------------------------------

    @property
    def digest(self) -> str:
        return digest_of(self.plan)

    @property
    def records(self) -> list[Line]:
        return [line for shard in self.shards.values() for line in shard if line["kind"] == "item"]

    def one(self, **wanted: Any) -> Line:
        """The first record that has all of this; a function is asked."""

        def fits(value: Any, want: Any) -> bool:
            return bool(want(value)) if callable(want) else value == want

        return next(r for r in self.records if all(fits(r[key], want) for key, want in wanted.items()))

    def text(self, address: str) -> str:
        rows = (row for rows in self.texts.values() for row in rows)
        return str(next(row["text"] for row in rows if row["digest"] == address))

    # --- changing ------------------------------------------------------------------------------

    def say(self, text: str, *, rank: int = 0) -> str:
        """Put a text in, and return its address."""
        address = address_of(text, salt=bytes(16))
        self.texts[rank].append({"digest": address, "salt": bytes(16).hex(), "text": text})
        return address

    def swap_gold(self, record: Line, gold: str) -> str:
        """Another gold in the text of a record's item, for all its records; the new item's digest."""
        item = item_of(self.text(record["question"]))
        fields = json.loads(item_json(item)) | {"gold": [gold]}
        text = canonical(fields).decode()
        address = self.say(text)
        for other in self.records:
            if (other["benchmark"], other["item"]) == (record["benchmark"], record["item"]):
                other["question"] = address
        return digest_text(text)

    def drop(self, condition: Callable[[Line], bool]) -> None:
        """Take lines out of the journal."""
        for rank, shard in self.shards.items():
            self.shards[rank] = [line for line in shard if line["kind"] != "item" or not condition(line)]

    # --- putting back --------------------------------------------------------------------------

    def write(self) -> None:
        """As it is."""
        (self.folder / "plan.json").write_bytes(canonical(self.plan) + b"\n")
        _write(self.folder / "items.jsonl", self.items)
        for kind, files in (("journal", self.shards), ("texts", self.texts)):
            for old in self.folder.glob(f"{kind}-*.jsonl"):
                old.unlink()
            for rank, lines in files.items():
                _write(self.folder / f"{kind}-{rank}.jsonl", lines)
        (self.folder / "seal.json").write_bytes(canonical(self.seal) + b"\n")

    def rechain(self) -> None:
        """With numbers and digests that fit."""
        for lines in self.shards.values():
            lines[0]["plan"] = prev = self.digest
            for n, line in enumerate(lines):
                line |= {"n": n, "prev": prev}
                prev = digest_of(line)

    def reseal(self) -> None:
        """With a chain and a seal that fit, and everything in it computed again where it can be."""
        self.rechain()
        self.seal |= {
            "plan": self.digest,
            "records": len(self.records),
            "results": results_digest(self.records),
            "shards": [
                {"file": f"journal-{rank}.jsonl", "rank": rank, "lines": len(lines), "head": digest_of(lines[-1])}
                for rank, lines in self.shards.items()
            ],
        }
        with suppress(BadInput):
            measured = Measured(self.plan, self.items, self.records)
            self.seal["figures"] = json.loads(canonical(measured.figures()))
            self.rejudge(measured.found)

    def rejudge(self, look: Look) -> None:
        """With gates and verdict that follow from what is looked at, whatever that is."""
        results = evaluate(gates_of(self.plan["gates"], self.plan), look, self.plan)
        self.seal["gates"] = json.loads(canonical([result_json(result) for result in results]))
        self.seal["verdict"] = verdict(results, absent=bool(self.plan["absent"])).value

    def replan(self) -> None:
        """With counts and digest of the items that fit."""
        data = b"".join(canonical(item) + b"\n" for item in self.items)
        self.plan["items"] = {"count": len(self.items), "digest": digest_bytes(data)}
        subjects = {"question": len(self.plan["arms"]), "score": len(self.plan["models"])}
        self.plan["records"] = 0
        for entry in self.plan["benchmarks"]:
            entry["items"] = sum(item["benchmark"] == entry["name"] for item in self.items)
            self.plan["records"] += entry["items"] * subjects[entry["kind"]]


def _rank(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _write(path: Path, lines: list[Line]) -> None:
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))


# --- forgeries ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forgery:
    """Something done to a bundle, and the check that finds it; none, where nothing in the bundle can."""

    name: str
    do: Callable[[Forger], None]
    found: str


FORGERIES: list[Forgery] = []
Deed = Callable[[Forger], None]


def forgery(name: str, found: str) -> Callable[[Deed], Deed]:
    def put(do: Deed) -> Deed:
        FORGERIES.append(Forgery(name, do, found))
        return do

    return put


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


ANSWERED = {"benchmark": "basics-questions", "disposition": "answered"}
WRONG = {**ANSWERED, "mark": "fail"}
RIGHT = {**ANSWERED, "mark": "pass"}


def improve(record: Line) -> None:
    record |= {"scores": dict.fromkeys(record["scores"], 1), "mark": "pass"}


@forgery("a byte of a record flipped", "chain")
def _(f: Forger) -> None:
    data = (f.folder / "journal-0.jsonl").read_bytes()
    flip(f.folder / "journal-0.jsonl", data.index(b'"strategy":"direct"') + 13)


@forgery("a byte of the last record flipped", "seal")
def _(f: Forger) -> None:
    data = (f.folder / "journal-0.jsonl").read_bytes()
    flip(f.folder / "journal-0.jsonl", data.rindex(b'"strategy":"direct"') + 13)


@forgery("a score edited", "chain")
def _(f: Forger) -> None:
    improve(f.one(**WRONG))
    f.write()


@forgery("a score edited, and everything after it chained again", "seal")
def _(f: Forger) -> None:
    improve(f.one(**WRONG))
    f.rechain()
    f.write()


@forgery("a score edited, chained and sealed again", "scores")
def _(f: Forger) -> None:
    improve(f.one(**WRONG))
    f.reseal()
    f.write()


@forgery("the score of a likelihood edited, chained and sealed again", "scores")
def _(f: Forger) -> None:
    improve(f.one(benchmark="basics-choices", mark="fail"))
    f.reseal()
    f.write()


@forgery("a mark alone edited, chained and sealed again", "scores")
def _(f: Forger) -> None:
    f.one(**WRONG)["mark"] = "pass"
    f.reseal()
    f.write()


@forgery("a value edited to the gold, with its score, chained and sealed again", "reading")
def _(f: Forger) -> None:
    record = f.one(**WRONG)
    right = f.one(benchmark=record["benchmark"], item=record["item"], mark="pass")
    record["value"] = right["value"]
    improve(record)
    f.reseal()
    f.write()


@forgery("an outcome edited, chained and sealed again", "reading")
def _(f: Forger) -> None:
    record = f.one(outcome="absent")
    record |= {"outcome": "ambiguous", "disposition": "ambiguous"}
    f.reseal()
    f.write()


@forgery("a disposition edited, chained and sealed again", "dispositions")
def _(f: Forger) -> None:
    f.one(disposition="refused")["disposition"] = "absent"
    f.reseal()
    f.write()


@forgery("an answer that was let through turned to blocked, chained and sealed again", "dispositions")
def _(f: Forger) -> None:
    f.one(**WRONG).update(action="block", disposition="blocked", answer=None, outcome=None, value=None)
    f.reseal()
    f.write()


@forgery("an unscored item turned to a pass, chained and sealed again", "scores")
def _(f: Forger) -> None:
    improve(f.one(mark="unscored"))
    f.reseal()
    f.write()


@forgery("a failed item turned to unscored, chained and sealed again", "scores")
def _(f: Forger) -> None:
    record = f.one(**WRONG)
    record |= {"scores": dict.fromkeys(record["scores"]), "mark": "unscored"}
    f.reseal()
    f.write()


@forgery("likelihoods edited without the score, chained and sealed again", "scores")
def _(f: Forger) -> None:
    f.one(benchmark="basics-choices", mark="pass")["likelihoods"].reverse()
    f.reseal()
    f.write()


@forgery("a hard item dropped", "chain")
def _(f: Forger) -> None:
    hard = f.one(**WRONG)["item"]
    f.drop(lambda line: line["item"] == hard)
    f.write()


@forgery("a hard item dropped, chained and sealed again", "completeness")
def _(f: Forger) -> None:
    hard = f.one(**WRONG)["item"]
    f.drop(lambda line: line["item"] == hard)
    f.reseal()
    f.write()


@forgery("a hard item dropped from the plan too, chained and sealed again", "anchor")
def _(f: Forger) -> None:
    hard = f.one(**WRONG)["item"]
    f.drop(lambda line: line["item"] == hard)
    f.items = [item for item in f.items if item["id"] != hard]
    f.replan()
    renumber(f)
    f.reseal()
    f.write()


def renumber(f: Forger) -> None:
    """Units, where items are gone."""
    unit = 0
    for entry in f.plan["benchmarks"]:
        names = [item["id"] for item in f.items if item["benchmark"] == entry["name"]]
        for record in f.records:
            if record["benchmark"] == entry["name"]:
                record["unit"] = unit + names.index(record["item"]) // f.plan["unit"]
        unit += -(-len(names) // f.plan["unit"])


@forgery("a record put in twice", "chain")
def _(f: Forger) -> None:
    f.shards[0].insert(5, dict(f.shards[0][4]))
    f.write()


@forgery("a record put in twice, chained and sealed again", "completeness")
def _(f: Forger) -> None:
    f.shards[0].insert(5, dict(f.shards[0][4]))
    f.reseal()
    f.write()


@forgery("a bad record replaced by a copy of a good one, chained and sealed again", "completeness")
def _(f: Forger) -> None:
    bad = f.shards[0].index(f.one(**WRONG))
    f.shards[0][bad] = dict(f.one(**RIGHT))
    f.reseal()
    f.write()


@forgery("two records exchanged", "chain")
def _(f: Forger) -> None:
    f.shards[0][4:6] = reversed(f.shards[0][4:6])
    f.write()


@forgery("two records exchanged, chained and sealed again", "units")
def _(f: Forger) -> None:
    f.shards[0][4:6] = reversed(f.shards[0][4:6])
    f.reseal()
    f.write()


@forgery("the tail cut off", "seal")
def _(f: Forger) -> None:
    del f.shards[0][-7:]
    f.write()


@forgery("the tail cut off, and sealed again", "completeness")
def _(f: Forger) -> None:
    del f.shards[0][-7:]
    f.reseal()
    f.write()


@forgery("the last line cut in half", "chain")
def _(f: Forger) -> None:
    path = f.folder / "journal-0.jsonl"
    path.write_bytes(path.read_bytes()[:-40])


@forgery("a byte of the plan flipped", "plan")
def _(f: Forger) -> None:
    flip(f.folder / "plan.json", 0)


@forgery("the threshold of a gate lowered in the plan", "chain")
def _(f: Forger) -> None:
    lower(f)
    f.write()


@forgery("the threshold of a gate lowered in the plan, chained and sealed again", "anchor")
def _(f: Forger) -> None:
    lower(f)
    f.reseal()
    f.write()


def lower(f: Forger) -> None:
    f.plan["gates"][0]["at_least"] = 0.01


@forgery("a gate taken out of the plan, chained and sealed again", "anchor")
def _(f: Forger) -> None:
    del f.plan["gates"][0]
    f.reseal()
    f.write()


@forgery("what a refusal is worth edited in the plan, chained and sealed again", "scores")
def _(f: Forger) -> None:
    for entry in f.plan["benchmarks"]:
        entry["metrics"][0]["credit"]["refused"] = 1
    f.reseal()
    f.write()


@forgery("the plan naming another model, chained and sealed again", "identities")
def _(f: Forger) -> None:
    f.plan["models"][0]["identity"]["name"] = "another"
    f.reseal()
    f.write()


@forgery("the items of the plan edited", "items")
def _(f: Forger) -> None:
    f.items[0]["cluster"] = "together"
    f.write()


@forgery("clusters edited in the list of items and the plan, chained and sealed again", "gold")
def _(f: Forger) -> None:
    for item in f.items:
        item["cluster"] = item["id"]
    f.replan()
    f.reseal()
    f.write()


@forgery("gold swapped in the text of an item", "gold")
def _(f: Forger) -> None:
    record = f.one(**WRONG)
    f.swap_gold(record, f.text(record["value"]))
    improve(record)
    f.reseal()
    f.write()


@forgery("gold swapped in the text of an item and in the plan, chained and sealed again", "anchor")
def _(f: Forger) -> None:
    record = f.one(**WRONG)
    digest = f.swap_gold(record, f.text(record["value"]))
    improve(record)
    for other in f.records:
        if (other["benchmark"], other["item"]) == (record["benchmark"], record["item"]):
            other["digest"] = digest
            right = other["value"] == record["value"]
            if other["disposition"] == "answered":
                other |= {"scores": {"accuracy": int(right), "refused": 0}, "mark": "pass" if right else "fail"}
    for item in f.items:
        if (item["benchmark"], item["id"]) == (record["benchmark"], record["item"]):
            item["digest"] = digest
    f.replan()
    f.reseal()
    f.write()


@forgery("a figure edited in the seal", "figures")
def _(f: Forger) -> None:
    f.seal["figures"][-1]["value"] = 0.999
    f.write()


@forgery("the bounds of a figure edited in the seal, and the gates ruled anew", "figures")
def _(f: Forger) -> None:
    for figure in f.seal["figures"]:
        figure["low"] = 0.99
    f.rejudge(lambda _gate, _subject: Found(value=0.99, low=0.99, high=1.0, clusters=99))
    f.write()


@forgery("a figure left out of the seal", "figures")
def _(f: Forger) -> None:
    del f.seal["figures"][0]
    f.write()


@forgery("a ruling edited in the seal", "gates")
def _(f: Forger) -> None:
    f.seal["gates"][0]["ruling"] = "pass"
    f.write()


@forgery("a failed gate left out of the seal", "gates")
def _(f: Forger) -> None:
    del f.seal["gates"][0]
    f.write()


@forgery("the verdict edited in the seal", "verdict")
def _(f: Forger) -> None:
    f.seal["verdict"] = "pass"
    f.write()


@forgery("the digest of the results edited in the seal", "results")
def _(f: Forger) -> None:
    f.seal["results"] = digest_of("others")
    f.write()


@forgery("an earlier run struck from the seal, and the number of attempts left", "seal")
def _(f: Forger) -> None:
    f.seal["attempt"] = 2
    f.write()


@forgery("a byte of the seal flipped", "seal")
def _(f: Forger) -> None:
    flip(f.folder / "seal.json", 0)


@forgery("records of another model", "completeness")
def _(f: Forger) -> None:
    for record in f.records:
        record["identity"] = digest_of("another model")
    f.reseal()
    f.write()


@forgery("a text edited", "texts")
def _(f: Forger) -> None:
    f.texts[0][3]["text"] += "!"
    f.write()


@forgery("a text edited, and given another salt", "texts")
def _(f: Forger) -> None:
    f.texts[0][3] |= {"text": "!", "salt": bytes(16).hex()}
    f.write()


@forgery("the journal of another run", "chain")
def _(f: Forger) -> None:
    f.plan["name"] = "another"
    f.rechain()
    f.plan["name"] = ""
    f.write()


@forgery("the journal of another run of the same plan", "seal")
def _(f: Forger) -> None:
    for line in f.shards[0]:
        if line["kind"] == "open":
            line["started"] = "2020-01-01T00:00:00Z"
        elif "seconds" in line:
            line["seconds"] = 77
    f.rechain()
    f.write()


@forgery("a shard left out", "seal")
def _(f: Forger) -> None:
    del f.shards[1]
    f.write()


@forgery("a shard left out, and sealed again", "completeness")
def _(f: Forger) -> None:
    del f.shards[1]
    f.reseal()
    f.write()


@forgery("a shard of a run by another number of processes", "seal")
def _(f: Forger) -> None:
    f.shards[1][0]["world"] = 3
    f.rechain()
    f.reseal()
    f.write()


@forgery("a unit moved to the shard of another process, chained and sealed again", "units")
def _(f: Forger) -> None:
    unit = f.shards[0][1]["unit"]
    moved = [line for line in f.shards[0] if line.get("unit") == unit]
    f.drop(lambda line: line["unit"] == unit)
    f.shards[1] += moved
    f.reseal()
    f.write()


@forgery("a score that is no number", "records")
def _(f: Forger) -> None:
    f.one(**WRONG)["scores"]["accuracy"] = "1"
    f.reseal()
    f.write()


@forgery("the time of the run edited in the seal", "nothing")
def _(f: Forger) -> None:
    f.seal["finished"] = "2020-01-01T00:00:00Z"
    f.write()


@forgery("an earlier run struck from the seal, with the number of attempts", "nothing")
def _(f: Forger) -> None:
    f.seal |= {"earlier": [], "attempt": 1}
    f.write()


@forgery("texts taken out", "nothing")
def _(f: Forger) -> None:
    f.texts[0] = f.texts[0][::2]
    f.write()


@forgery("an answer made up, with its text, value and score, chained and sealed again", "replay")
def _(f: Forger) -> None:
    record = f.one(**WRONG)
    right = f.one(benchmark=record["benchmark"], item=record["item"], mark="pass")
    record |= {key: right[key] for key in ("answer", "passes", "value", "outcome", "scores", "mark")}
    f.reseal()
    f.write()


@forgery("likelihoods made up, with their score, chained and sealed again", "replay")
def _(f: Forger) -> None:
    record = f.one(benchmark="basics-choices", mark="fail")
    right = f.one(benchmark="basics-choices", item=record["item"], mark="pass")
    record |= {key: right[key] for key in ("likelihoods", "scores", "mark")}
    f.reseal()
    f.write()


@forgery("another part of an answer's text taken for the answer, with its score, chained and sealed again", "replay")
def _(f: Forger) -> None:
    record = f.one(**WRONG)
    right = f.one(benchmark=record["benchmark"], item=record["item"], mark="pass")
    record["answer"] = {**record["answer"], "segment": right["answer"]["segment"]}
    record |= {key: right[key] for key in ("value", "outcome", "scores", "mark")}
    f.reseal()
    f.write()


@forgery("what a guard said struck from a record, chained and sealed again", "replay")
def _(f: Forger) -> None:
    f.one(benchmark="basics-questions", mark="pass")["verdicts"].pop()
    f.reseal()
    f.write()


@forgery("an answer cut off in its text and tokens, chained and sealed again", "replay")
def _(f: Forger) -> None:
    record = f.one(disposition="refused")
    cut = f.text(record["passes"][0]["text"])[:-4]
    record["passes"][0] |= {"text": f.say(cut), "ids": f.say(str(list(map(ord, cut))))}
    record["answer"] |= {"text": f.say(cut), "segment": f.say(cut)}
    f.reseal()
    f.write()


@forgery("a prompt exchanged, chained and sealed again", "replay")
def _(f: Forger) -> None:
    f.one(benchmark="basics-questions", mark="pass")["passes"][0]["prompt"] = f.say("user: something else")
    f.reseal()
    f.write()


# --- runs that stop by their rule ---------------------------------------------------------------


def end_of(f: Forger) -> int:
    """Items of `flow` that were asked."""
    return int(f.seal["stopped"]["flow"])


def cut_to(f: Forger, items: int) -> None:
    """Nothing of `flow` after so many items."""
    kept = {item["id"] for item in [item for item in f.items if item["benchmark"] == "flow"][:items]}
    f.drop(lambda record: record["benchmark"] == "flow" and record["item"] not in kept)
    f.seal["stopped"] = {"flow": items}


@forgery("the tail of a run that stopped cut off, chained and sealed again", "completeness")
def _(f: Forger) -> None:
    cut_to(f, end_of(f) - f.plan["unit"])
    f.reseal()
    f.write()


@forgery("the place where asking stopped moved in the seal", "seal")
def _(f: Forger) -> None:
    f.seal["stopped"]["flow"] += f.plan["unit"]
    f.write()


@forgery("that asking stopped struck from the seal", "seal")
def _(f: Forger) -> None:
    del f.seal["stopped"]
    f.write()


@forgery("records after the place where asking had to stop, chained and sealed again", "completeness")
def _(f: Forger) -> None:
    later = [item for item in f.items if item["benchmark"] == "flow"][end_of(f) : end_of(f) + f.plan["unit"]]
    last = [record for record in f.records if record["benchmark"] == "flow"][-len(f.plan["arms"]) :]
    at = f.shards[0].index(last[-1]) + 1
    f.shards[0][at:at] = [
        record | {"item": item["id"], "digest": item["digest"], "unit": record["unit"] + 1}
        for item in later
        for record in last
    ]
    f.seal["stopped"]["flow"] += f.plan["unit"]
    f.reseal()
    f.write()


@forgery("clusters of a run that stops put into another order, chained and sealed again", "items")
def _(f: Forger) -> None:
    flow = [item for item in f.items if item["benchmark"] == "flow"]
    f.items = [*reversed(flow), *f.items[len(flow) :]]
    f.replan()
    f.reseal()
    f.write()


@forgery("a failed item before the stop dropped, chained and sealed again", "completeness")
def _(f: Forger) -> None:
    gone = f.one(benchmark="flow", mark="fail")
    f.drop(lambda record: record is gone)
    f.reseal()
    f.write()


@forgery("the sequential gate made a usual one, so that asking should not have stopped, sealed again", "completeness")
def _(f: Forger) -> None:
    for gate in f.plan["gates"]:
        gate["sequential"] = False
    f.reseal()
    f.write()


@forgery("a gate that rules made sequential, so that asking might stop, sealed again", "items")
def _(f: Forger) -> None:
    f.plan["gates"][1]["sequential"] = True
    cut_to(f, end_of(f))
    kept = {item["id"] for item in [i for i in f.items if i["benchmark"] == "basics-choices"][: f.plan["unit"]]}
    f.drop(lambda record: record["benchmark"] == "basics-choices" and record["item"] not in kept)
    f.seal["stopped"]["basics-choices"] = f.plan["unit"]
    f.reseal()
    f.write()


@forgery("the bounds of a gate that stopped edited to those of a usual one", "gates")
def _(f: Forger) -> None:
    f.seal["gates"][0]["low"] += 0.05
    f.write()


def params(*, found: Mapping[str, Any] | None = None) -> list[Any]:
    """Every forgery as a parameter of a test."""
    return [pytest.param(forgery, id=forgery.name) for forgery in FORGERIES]
