"""Scores a sealed run again by another rule, without asking any model: a new run that names the old one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from orca_guard.attest import faults_of
from orca_guard.errors import BadInput, UnknownName
from orca_guard.host import own_identity
from orca_guard.identity import digest_of
from orca_guard.items import Disposition, Item, Metric, Opinion, Worth, item_of
from orca_guard.journal.bundle import Bundle, RunStore, Status
from orca_guard.journal.reading import ShardReader
from orca_guard.journal.shard import Shard
from orca_guard.journal.texts import Texts
from orca_guard.journal.units import schedule_of
from orca_guard.reading import read
from orca_guard.scoring import (
    LIKELIHOOD_RULES,
    QUESTION_RULES,
    Rules,
    marked,
    unscored_reason,
)
from orca_guard.sealing import earlier_runs, seal
from orca_guard.types import Action, Segment
from orca_guard.verify.texts import TextIndex

DROPPED = "its text was taken out of the run that is scored again"

_RULES: Mapping[str, Collection[str]] = {"question": QUESTION_RULES, "score": LIKELIHOOD_RULES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """A run that was scored again.

    Attributes:
        bundle: the new run.
        seal: its seal.
        changed: records that have other scores than before.
        dropped: records that another rule should have scored, and whose texts were taken out: they are UNSCORED.
    """

    bundle: Bundle
    seal: Mapping[str, Any]
    changed: int
    dropped: int


def rescore(run: Path, *, scoring: str, benchmark: str = "", name: str = "") -> Rescored:
    """Score the recorded values or likelihoods of a sealed run by another rule, as a new run beside it.

    The plan of the new run is the old one with the other rule, and the digests of the old plan and seal. Its gates and
    metrics stay what they were. One that was cut short goes on where it stopped.

    Args:
        run: folder of the old run.
        scoring: a rule of `scoring.py`.
        benchmark: the only one that is scored again; empty is every one of the rule's kind.
        name: of the new run's folder; empty is made of the old one's and the rule's.

    Raises:
        UnknownName: there is no such rule or benchmark.
        BadInput: the old run is not sealed or has a fault; the rule is for another kind of benchmark; the new run is
            there already, or cannot be written.
    """
    old = Bundle(run.resolve())
    _check_source(old)
    before = old.read_plan()
    chosen = _chosen(before, scoring, benchmark)
    plan = _plan(before, scoring, chosen, seal=old.read_seal())
    store = RunStore(old.root.parent)
    new = store.run(name or f"{old.root.name}-{scoring}")
    if new.seal.exists():
        raise BadInput(f"{new.root} is there already, and sealed; name another run")
    new.begin(plan, old.items.read_bytes())
    rules = {entry["name"]: _again(entry) for entry in plan["benchmarks"] if entry["name"] in chosen}
    counts: Counter[str] = Counter()
    for rank in old.journals():
        counts += _copy(rank, old, new, rules=rules, secret=store.secret())
    sealed = seal(new, earlier=earlier_runs(store, new, digest_of(plan)))
    return Rescored(bundle=new, seal=sealed, changed=counts["changed"], dropped=counts["dropped"])


def _check_source(bundle: Bundle) -> None:
    status = bundle.status()
    if status is not Status.SEALED:
        raise BadInput(f"{bundle.root} is {status}; only a sealed run is scored again")
    faults = faults_of(bundle.root)
    if faults:
        raise BadInput("\n  ".join((f"{bundle.root} is not as it was sealed, and is not scored again:", *faults)))


# --- the plan ----------------------------------------------------------------------------------


def _chosen(plan: Mapping[str, Any], scoring: str, benchmark: str) -> frozenset[str]:
    """Names of the benchmarks that are scored again."""
    kinds = {entry["name"]: entry["kind"] for entry in plan["benchmarks"]}
    if benchmark and benchmark not in kinds:
        raise UnknownName("benchmark of this run", benchmark, kinds)
    if not any(scoring in rules for rules in _RULES.values()):
        raise UnknownName("scoring rule", scoring, [name for rules in _RULES.values() for name in rules])
    chosen = frozenset(n for n, kind in kinds.items() if n == (benchmark or n) and scoring in _RULES[kind])
    if not chosen:
        wanted = ", ".join(sorted({rule for n in kinds if n == (benchmark or n) for rule in _RULES[kinds[n]]}))
        raise BadInput(f"{scoring!r} is no rule for {benchmark or 'any benchmark of this run'}. There is: {wanted}.")
    return chosen


def _plan(
    before: Mapping[str, Any], scoring: str, chosen: frozenset[str], *, seal: Mapping[str, Any]
) -> dict[str, Any]:
    entries = [entry | {"scoring": scoring} if entry["name"] in chosen else entry for entry in before["benchmarks"]]
    link = {"plan": digest_of(before), "seal": digest_of(seal)}
    asked = seal.get("stopped") or before.get("rescored", {}).get("asked")
    link |= {"asked": asked} if asked else {}
    return {**before, "code": own_identity(), "benchmarks": entries, "rescored": link}


def _again(entry: Mapping[str, Any]) -> _Again:
    return _Again(entry["kind"], Rules(entry["scoring"], msgspec.convert(entry["metrics"], tuple[Metric, ...])))


# --- the records -------------------------------------------------------------------------------


def _copy(rank: int, old: Bundle, new: Bundle, *, rules: Mapping[str, _Again], secret: bytes) -> Counter[str]:
    """One shard, and how many of its records have changed."""
    plan, world = new.read_plan(), len(old.journals())
    digest = digest_of(plan)
    schedule = schedule_of(plan, new.read_items(plan))
    rounds = schedule.rounds(world)
    sizes = schedule.sizes(rank=rank, world=world)
    counts: Counter[str] = Counter()
    with (
        TextIndex(old.all_texts()) as texts,
        Texts(new.texts(rank), secret=secret, plan=digest) as copies,
        Shard(new.journal(rank), plan=digest, rank=rank, world=world, sizes=sizes, rounds=rounds) as shard,
    ):
        moving = _Moving(texts, copies)
        for number, records in _shares(old, rank, rounds):
            again = [_scored(record, rules.get(record["benchmark"]), texts) for record in records]
            counts["changed"] += sum(r["scores"] != a["scores"] for r, a in zip(records, again, strict=True))
            counts["dropped"] += sum(r["benchmark"] in rules and r["reason"] == DROPPED for r in again)
            if number not in shard.done:
                moved = [moving.record(record) for record in again]
                copies.flush()
                shard.write(number, moved)
    return counts


def _shares(bundle: Bundle, rank: int, rounds: Mapping[int, int]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    reader = ShardReader(bundle.journal(rank), plan=digest_of(bundle.read_plan()), rank=rank)
    records = (line.fields for line in reader if line.kind == "item")
    return ((number, list(found)) for number, found in groupby(records, key=lambda record: rounds[record["unit"]]))


def _scored(record: dict[str, Any], again: _Again | None, texts: TextIndex) -> dict[str, Any]:
    """The record with what another rule makes of it. No rule takes part where there is nothing to score."""
    if again is None:
        return record
    if again.kind == "score":
        return record if record["likelihoods"] is None else again.request(record, texts)
    return again.question(record, texts) if record["disposition"] == Disposition.ANSWERED else record


@dataclass(frozen=True, slots=True)
class _Again:
    """How a benchmark's records are scored again."""

    kind: str
    rules: Rules

    def question(self, record: dict[str, Any], texts: TextIndex) -> dict[str, Any]:
        """Of an answer that was read."""
        item, value = _item(record, texts), _value(record, texts)
        if item is None or value is None:
            return self._result(record, Disposition.ANSWERED, {}, DROPPED)
        # What the old run said of a score is not said again; what its guards said is.
        of_scores = {DROPPED, unscored_reason(Disposition.ANSWERED, {}, self.rules.metrics)}
        reason = "" if record["reason"] in of_scores else record["reason"]
        return self._result(record, Disposition.ANSWERED, self.rules.of_value(value, item, _opinions(record)), reason)

    def request(self, record: dict[str, Any], texts: TextIndex) -> dict[str, Any]:
        """Of likelihoods."""
        item = _item(record, texts)
        if item is None:
            answered = record["disposition"] == Disposition.ANSWERED
            return self._result(record, Disposition.ANSWERED, {}, DROPPED) if answered else record
        scores, why = self.rules.of_likelihoods(record["likelihoods"], item)
        if self.rules.first(scores) is None:
            return self._result(record, Disposition.ERROR, {}, why) | {"action": Action.ERROR.value}
        return self._result(record, Disposition.ANSWERED, scores, "") | {"action": Action.ALLOW.value}

    def _result(
        self, record: Mapping[str, Any], disposition: Disposition, scores: Mapping[str, Worth], reason: str
    ) -> dict[str, Any]:
        worth, mark = marked(disposition, scores, self.rules.metrics)
        why = reason or unscored_reason(disposition, scores, self.rules.metrics)
        return {**record, "disposition": disposition.value, "scores": worth, "mark": mark.value, "reason": why}


def _opinions(record: Mapping[str, Any]) -> list[Opinion]:
    return [Opinion(judge=one["judge"], of=one["of"], score=one["score"]) for one in record.get("judged", ())]


def _item(record: Mapping[str, Any], texts: TextIndex) -> Item | None:
    text = texts.get(record["question"])
    return None if text is None else item_of(text)


def _value(record: Mapping[str, Any], texts: TextIndex) -> str | None:
    """What was read from an answer. Where that was taken out and the answer was not, it is read again."""
    value = texts.get(record["value"])
    if value is not None:
        return value
    item, segment = _item(record, texts), _segment(record["answer"], texts)
    if segment is None or item is None or item.question is None:
        return None
    found = read(segment, item.question.form, choices=item.question.choices)
    return found.value if found.outcome == record["outcome"] else None


def _segment(answer: Mapping[str, Any], texts: TextIndex) -> Segment | None:
    """What reading saw, if all of it is here."""
    text = texts.get(answer["text"])
    part = None if answer["segment"] is None else texts.get(answer["segment"])
    if text is None or (part is None and answer["segment"] is not None):
        return None
    return Segment(text=text, answer=part, finish=answer["finish"])


@dataclass(frozen=True, slots=True)
class _Moving:
    """Texts on their way to another run. One that was taken out keeps its address, which leads nowhere still."""

    old: TextIndex
    new: Texts

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record with the addresses that its texts have in the new run."""
        judged = [self._moved(one, "asked", "said") for one in record.get("judged", ())]
        return {
            **self._moved(record, "question", "value"),
            **({"judged": judged} if judged else {}),
            "passes": [self._moved(step, "prompt", "text", "ids") for step in record["passes"]],
            "answer": record["answer"] and self._moved(record["answer"], "text", "segment"),
        }

    def _moved(self, row: Mapping[str, Any], *keys: str) -> dict[str, Any]:
        return {**row, **{key: row[key] and self._address(row[key]) for key in keys}}

    def _address(self, old: str) -> str:
        text = self.old.get(old)
        return old if text is None else self.new.add(text)
