"""The checks, in the order in which they build on each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from orca_guard.errors import BadInput
from orca_guard.figures import TOLERANCE, Measured, differences
from orca_guard.gates import evaluate, gates_of, result_json, verdict
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.chain import Fault
from orca_guard.journal.reading import check_shard
from orca_guard.journal.seal import check_seal
from orca_guard.verify.data import check_data
from orca_guard.verify.derive import Deriver
from orca_guard.verify.opening import (
    OpenedPlan,
    OpenedSeal,
    check_anchor,
    check_attestation,
    check_files,
    check_identities,
    check_signature,
    open_plan,
    open_seal,
)
from orca_guard.verify.planned import Planned, planned_of
from orca_guard.verify.report import Check, Ledger, Report, Status
from orca_guard.verify.shards import Shards
from orca_guard.verify.statements import check_statements
from orca_guard.verify.texts import TextIndex


def verify(folder: Path, *, anchor: str = "", data: Path | None = None, public: Path | None = None) -> Report:
    """Check a run.

    Args:
        folder: of the run.
        anchor: digest of the plan as it was registered elsewhere; empty where it was not.
        data: a pack, or a folder of them, to hold the items against.
        public: file of the public key that the seal must be signed with.

    Raises:
        BadInput: this is no run, cannot be read, or is of a format that this version does not know.
        NotReady: signatures are asked for, and the package that checks them is not installed.
    """
    bundle, ledger = Bundle(folder), Ledger()
    check_files(bundle)
    sealed = bundle.seal.exists()
    plan = open_plan(bundle, ledger)
    if plan is None:
        checks = [
            ledger.settle("plan", Status.FAULT, ""),
            _skipped("rest", "nothing else means anything without a plan"),
        ]
        return Report(plan="", sealed=sealed, checks=tuple(checks))
    checks = [
        Check(name="plan", status=Status.PROVEN, what=f"canonical, of format 1; its digest is {plan.digest}"),
        check_anchor(plan.digest, anchor, ledger),
        check_identities(plan.shape, ledger),
    ]
    try:
        planned = planned_of(bundle, plan.document, plan.shape, plan.digest)
    except BadInput as error:
        ledger.add("items", Fault("items.jsonl", 0, str(error)))
        checks += _without_items(bundle, plan, ledger)
    else:
        checks += _with_items(bundle, planned, data, ledger)
    checks.append(check_signature(bundle, public, ledger))
    if bundle.attestation.exists():
        checks.append(check_attestation(bundle, plan.document, ledger))
    checks += check_statements(bundle, ledger)
    return Report(plan=plan.digest, sealed=sealed, checks=tuple(checks))


def _skipped(name: str, why: str) -> Check:
    return Check(name=name, status=Status.SKIPPED, what=why)


def _without_items(bundle: Bundle, plan: OpenedPlan, ledger: Ledger) -> list[Check]:
    readers = [check_shard(path, plan=plan.digest, rank=rank) for rank, path in bundle.journals().items()]
    ledger.add_all("chain", (fault for reader in readers for fault in reader.faults))
    chain = ledger.settle(
        "chain", Status.PROVEN, f"{sum(r.lines for r in readers)} lines, each bound to the one before"
    )
    return [
        ledger.settle("items", Status.FAULT, ""),
        chain,
        _skipped("rest", "nothing else means anything without the items of the plan"),
    ]


def _with_items(bundle: Bundle, planned: Planned, data: Path | None, ledger: Ledger) -> Iterator[Check]:
    seal = open_seal(bundle, ledger)
    with TextIndex(bundle.all_texts()) as texts:
        deriver = Deriver(planned, texts, ledger)
        shards = Shards(bundle, planned, deriver, ledger)
        measured = _measured(bundle, planned, shards)
    run = _Run(bundle=bundle, planned=planned, seal=seal, ledger=ledger, shards=shards, texts=texts, deriver=deriver)
    yield run.settle("items", f"{planned.shape.items.count} items, and they are those of the plan")
    yield check_data(planned, data, ledger)
    yield from run.journal(measured)
    yield from run.derived()
    yield from run.sealed(measured)
    yield from run.judged(measured)
    yield from run.asserted()


def _measured(bundle: Bundle, planned: Planned, shards: Shards) -> Measured:
    """Of all records; taking them one after the other is what reads the shards."""
    records = shards.records()
    measured = Measured(planned.plan, map(msgspec.to_builtins, bundle.read_items(planned.plan)), records)
    deque(records, maxlen=0)
    return measured


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A run whose shards were read."""

    bundle: Bundle
    planned: Planned
    seal: OpenedSeal | None
    ledger: Ledger
    shards: Shards
    texts: TextIndex
    deriver: Deriver

    def settle(self, name: str, what: str, status: Status = Status.PROVEN) -> Check:
        """A check that is proven if there was no fault."""
        return self.ledger.settle(name, status, what)

    @property
    def complete(self) -> bool:
        """Whether the run says so, readably or not."""
        return self.bundle.seal.exists()

    # --- the journal ---------------------------------------------------------------------------

    def journal(self, measured: Measured) -> Iterator[Check]:
        """Whether it is whole. A run without a seal may have been cut anywhere."""
        readers = self.shards.readers
        lines, records = sum(reader.lines for reader in readers), self.planned.schedule.records
        cut = [] if self.complete else [f for r in readers for f in r.faults if f.line > r.lines or not f.line]
        self.ledger.add_all("chain", (f for r in readers for f in r.faults if f not in cut))
        yield self.settle("chain", f"{lines} lines, each bound to the one before, and the first to the plan")
        yield self.settle("records", "every record has the form it should")
        yield self.settle("units", "every unit stands in order, in the shard of its rank")
        faults = self.shards.census.faults(measured.stops)
        missing = [fault for fault in faults if not fault.line]
        self.ledger.add_all("completeness", (fault for fault in faults if self.complete or fault.line))
        stopped = [f"{name} stopped by its rule after {items} items" for name, items in measured.stops.items()]
        wanted = self.shards.seen if stopped else records
        told = "; ".join((f"each of {wanted} planned records is here once, and no other", *stopped))
        if missing and not self.complete:
            yield self.settle("completeness", f"{self.shards.seen} of {records} records are here", Status.SKIPPED)
        else:
            yield self.settle("completeness", told)

    # --- what was derived ----------------------------------------------------------------------

    def derived(self) -> Iterator[Check]:
        """What records and texts gave when it was done again."""
        self.ledger.add_all("texts", self.texts.faults + (self.texts.torn if self.complete else []))
        gone = self.texts.missing
        told = f"; of {self.texts.asked} places that name a text, {gone} name one that was taken out" if gone else ""
        yield self.settle("texts", f"{self.texts.count} texts are those of their addresses{told}")
        yield self._counted("gold", "records have the item, with its gold, whose digest the plan has")
        masked = self.deriver.masked
        told = f"; {masked} were read from choices that a guard had changed" if masked else ""
        yield self._counted("reading", f"answers read as outcome and value say{told}", doubt=masked)
        if self.planned.judged:
            yield self._counted("judges", "verdicts follow from what judges were shown and said")
        yield self._counted("dispositions", "records ended as their action, outcome and verdicts make them")
        yield self._counted("scores", "records have the scores and the mark that their value or likelihoods make")

    def _counted(self, name: str, what: str, *, doubt: int = 0) -> Check:
        done, unread = self.deriver.done[name], self.deriver.unread[name]
        told = f"{done} {what}" + (f"; of {unread} it cannot be told, as texts were taken out" if unread else "")
        return self.settle(name, told, Status.ASSERTED if unread or doubt else Status.PROVEN)

    # --- the seal ------------------------------------------------------------------------------

    def sealed(self, measured: Measured) -> Iterator[Check]:
        """What the seal says of the shards."""
        if self.seal is not None:
            readers = self.shards.readers
            self.ledger.add_all("seal", check_seal(self.seal.document, readers, plan=self.planned.digest))
            self.ledger.add_all(
                "seal", (Fault("seal.json", 0, what) for what in self._contradictions(self.seal, measured))
            )
        proven = "it has the last line of every shard, and counts them"
        yield self.settle("seal", proven) if self.complete else _skipped("seal", "there is none")

    def _contradictions(self, seal: OpenedSeal, measured: Measured) -> Iterator[str]:
        shape = seal.shape
        if dict(shape.stopped) != measured.stops:
            yield f"it says that asking stopped after {shape.stopped or 'all items'}, and its rule {_rule(measured)}"
        began = [reader.opened.started for reader in self.shards.readers if reader.opened]
        if shape.status != "complete":
            yield f"its status is {shape.status!r}"
        if began and shape.started != min(began):
            yield f"it says that the run started {shape.started}, and the shards say {min(began)}"
        if shape.attempt != len(shape.earlier) + 1:
            yield f"it is attempt {shape.attempt} after {len(shape.earlier)} earlier ones"

    # --- figures and gates ---------------------------------------------------------------------

    def judged(self, measured: Measured) -> Iterator[Check]:
        """Everything that follows from the records, computed again."""
        names = ("results", "figures", "gates", "verdict")
        if self.seal is None:
            yield from (_skipped(name, "there is no seal that says them") for name in names)
            return
        faults = self._differences(self.seal, measured)
        for name in names:
            self.ledger.add_all(name, (Fault("seal.json", 0, what) for what in faults[name]))
        yield self.settle("results", "the digest over all records, without times, is the sealed one")
        yield self.settle("figures", f"{len(self.seal.shape.figures)} figures come out the same, to {TOLERANCE}")
        yield self.settle("gates", f"{len(self.seal.shape.gates)} rulings come out the same")
        yield self.settle("verdict", f"{self.seal.shape.verdict}, as the gates say together")

    def _differences(self, seal: OpenedSeal, measured: Measured) -> dict[str, list[str]]:
        plan, shape = self.planned.plan, seal.shape
        digest = self.shards.results.digest()
        found = {
            "results": [] if shape.results == digest else [f"results are {shape.results}, and come to {digest}"],
            "figures": differences(shape.figures, measured.figures()),
        }
        try:
            results = evaluate(gates_of(plan["gates"], plan), measured.found, plan)
        except BadInput as error:
            return found | {"gates": [f"the plan's gates make no sense: {error}"], "verdict": []}
        rulings = [result_json(result) for result in results]
        pairs: Iterator[tuple[int, Any]] = enumerate(zip_longest(shape.gates, rulings, fillvalue={}), 1)
        found["gates"] = [f"gate {n}: {_told(a, b)}" for n, (a, b) in pairs if not _same(a, b)]
        ruling = verdict(results, absent=bool(plan["absent"])).value
        found["verdict"] = [] if shape.verdict == ruling else [f"it says {shape.verdict!r}, and it is {ruling!r}"]
        return found

    # --- what nobody can check here ------------------------------------------------------------

    def asserted(self) -> Iterator[Check]:
        """What rests on the word of whoever made the run."""
        withheld, failed = self.deriver.withheld, self.deriver.failed
        without = f"; {withheld} questions without an answer, {failed} requests without likelihoods"
        told = {
            "answers": f"that the model wrote these texts to these prompts, and gave these likelihoods{without}",
            "guards": "that the guards said what is recorded of them, and strategies found the answer where it stands",
            **({"judging": "that judges said what is recorded of them"} if self.planned.judged else {}),
            "history": "when, on what machine and after how many attempts the run was made",
        }
        yield from (Check(name=name, status=Status.ASSERTED, what=what) for name, what in told.items())


def _rule(measured: Measured) -> str:
    return f"stops it after {measured.stops}" if measured.stops else "stops it nowhere"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if type(a) in {int, float} and type(b) in {int, float}:
        return bool(abs(a - b) <= TOLERANCE)
    return type(a) is type(b) and bool(a == b)


def _told(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = [key for key in dict.fromkeys((*new, *old)) if not _same(old.get(key), new.get(key))]
    told = [f"{key} is recorded as {old.get(key, 'absent')} and comes to {new.get(key, 'absent')}" for key in keys]
    return "; ".join(told)
