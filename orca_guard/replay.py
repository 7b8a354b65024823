"""Asks a model again about records drawn from a run: were these answers written by it, and these numbers computed?

Nothing in a folder can tell an answer that was made up from one that a model gave. A model can: it follows recorded
tokens in one forward, and what it would not have written itself lies below the best by more than noise.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from orca_guard.audit import REQUEST
from orca_guard.bench import Bench, load_bench
from orca_guard.configuration import ModelTable, guards_of
from orca_guard.contracts import Model
from orca_guard.drive import Streamed, drive, just
from orca_guard.errors import BadInput, ModelFailed
from orca_guard.following import Followed, Step, broken_trail, followed
from orca_guard.host import Host
from orca_guard.identity import digest_of
from orca_guard.items import Disposition, Item, disposition_of, item_of
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.chain import Fault
from orca_guard.journal.reading import ShardReader
from orca_guard.plan import Arm, request_of
from orca_guard.rows import verdict_row
from orca_guard.types import Answer, Failure, Replies, Reply, Requests, Retrace, Retraced, Scores
from orca_guard.verify.report import Check, Ledger, Status
from orca_guard.verify.texts import TextIndex

WIDTH = 32
CLOSE = 1e-3
"""How far two computations of a log-likelihood may lie apart in single precision; elsewhere they are rounded more."""
FLOORS = {"float32": 1e-4, "float16": 0.05, "bfloat16": 0.25}
"""The least that counts as noise, in nats: what rounding alone does to logits of usual size."""
SAFETY = 4.0
_MEASURED = 8
_RARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A record that was drawn, and where it stands."""

    fields: Mapping[str, Any]
    file: str
    line: int

    def fault(self, what: str) -> Fault:
        """Something wrong with it."""
        record = self.fields
        return Fault(self.file, self.line, f"{record['benchmark']}/{record['item']} under {record['subject']}: {what}")


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of following records.

    Attributes:
        answers: questions that were gone through again.
        tokens: that were followed.
        furthest: of all tokens, how far the lowest lies below the best, in nats.
        noise: how far one may.
        requests: whose likelihoods were computed again.
        apart: how far the farthest of those lies from the recorded one.
        left: why others were not, with their number.
    """

    answers: int = 0
    tokens: int = 0
    furthest: float = 0.0
    noise: float = 0.0
    requests: int = 0
    apart: float = 0.0
    left: Counter[str] = field(default_factory=Counter)

    @property
    def followed(self) -> int:
        """Records that the model was asked about."""
        return self.answers + self.requests

    @property
    def status(self) -> Status:
        """Of what was drawn and could not be followed, nothing is proven."""
        if not self.followed:
            return Status.SKIPPED
        return Status.ASSERTED if self.left else Status.PROVEN


def replay(
    folder: Path,
    host: Host,
    *,
    count: int,
    nonce: str,
    models: Mapping[str, ModelTable],
    trusting: bool = False,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Check:
    """Draw records from a run that verifies, and hold them against the model.

    Args:
        folder: of the run.
        host: where names are looked up.
        count: how many records are drawn.
        nonce: decides which. Whoever made the run must not have known it.
        models: where the plan's models lie here, by the plan's names; what the run says of that is not believed.
        trusting: whether guards and selectors may be made with the options that the run says.
        told: how many records are done, of how many.

    Raises:
        BadInput: it is no run, a model of the plan has no place here, or options would have to be trusted.
        ConfigurationChanged: a model, pipeline or setting is not the one that was audited; the difference is shown.
        ModelFailed: a model cannot follow recorded tokens.
    """
    if count < 1:
        raise BadInput(f"{count} records were asked for; at least one is drawn")
    bundle = Bundle(folder)
    plan = bundle.read_plan()
    bench = load_bench(_arms(bundle, plan, models, trusting=trusting), plan, host, tolerated=is_software)
    drawn, records = draw(_records(bundle, plan), count=count, nonce=nonce), plan["records"]
    ledger, outcome = Ledger(), Outcome()
    with TextIndex(bundle.all_texts()) as texts:
        _Replay(bench, texts, ledger, outcome).go_through(drawn, told=told)
    what = f"{len(drawn)} of {records} records, drawn by nonce {nonce}: {_said(outcome, bench, records)}"
    return ledger.settle("replay", outcome.status, what)


# --- what is held against what -----------------------------------------------------------------

_SOFTWARE = frozenset({"accelerate", "peft", "tokenizers", "torch", "transformers"})


def is_software(path: str) -> bool:
    """Whether a difference of identities is one of software versions, or of where the same files came from.

    Somebody else's machine has other versions. What they compute is what replaying finds out.
    """
    section, _, rest = path.partition(".")
    if section == "model":
        return rest in _SOFTWARE or rest == "commit"
    return rest in {"version", "digest"}


def _arms(
    bundle: Bundle, plan: Mapping[str, Any], models: Mapping[str, ModelTable], *, trusting: bool
) -> tuple[Arm, ...]:
    """The arms as they were asked for, around models that lie here.

    The request is no evidence, and a folder may come from anybody: of what it says of a model, only dtype and profile
    are taken, so that no weights and no code that it names are loaded. Options of guards can name files to load,
    addresses to call and secrets to send there; they are taken if somebody has looked at them.
    """
    names = {entry["name"]: entry["model"] for entry in plan["arms"]}
    wanted = [*dict.fromkeys(names.values())]
    if missing := [name for name in wanted if name not in models]:
        raise BadInput(f"say where {missing[0]!r} lies: --model {missing[0]}=DIR. The plan has {', '.join(wanted)}")
    path = bundle.root / REQUEST
    try:
        request = request_of(path.read_bytes(), source=str(path))
    except OSError as error:
        raise BadInput(f"cannot read {path}, which says what was asked for: {error.strerror}") from error
    if {arm.name for arm in request.arms} != names.keys():
        raise BadInput(f"{path} has other arms than the plan")
    if not trusting and (strange := [what for arm in request.arms for what in _optional(arm)]):
        raise BadInput(
            f"{path} gives options to {', '.join(dict.fromkeys(strange))}, and a folder may come from anybody. Look at "
            "them, and say --trust-options if nothing in them is strange to you"
        )
    return tuple(Arm(arm.name, _placed(arm, models[names[arm.name]])) for arm in request.arms)


def _optional(arm: Arm) -> Iterator[str]:
    """What of an arm has options, or a file, that only its own plugin understands."""
    for guard in guards_of(arm.table):
        if guard.options or guard.operating_point:
            yield f"guard {guard.name!r}"
    if arm.table.selector.options:
        yield f"selector {arm.table.selector.name!r}"


def _placed(arm: Arm, here: ModelTable) -> Any:
    own = arm.table.model
    model = msgspec.structs.replace(here, dtype=own.dtype, profile=here.profile or own.profile)
    return msgspec.structs.replace(arm.table, model=model)


def draw(records: Iterable[Drawn], *, count: int, nonce: str) -> list[Drawn]:
    """So many of the records; of nonces that nobody knew, every set of them is equally likely.

    Those with the smallest digests of nonce, benchmark, item and subject are taken.
    """
    return heapq.nsmallest(count, records, key=lambda record: _lot(record.fields, nonce))


def _lot(fields: Mapping[str, Any], nonce: str) -> bytes:
    parts = [nonce, *(fields[key] for key in ("benchmark", "item", "subject"))]
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _records(bundle: Bundle, plan: Mapping[str, Any]) -> Iterator[Drawn]:
    digest = digest_of(plan)
    for rank, path in bundle.journals().items():
        for line in ShardReader(path, plan=digest, rank=rank):
            if line.kind == "item":
                yield Drawn(fields=line.fields, file=path.name, line=line.number)


# --- going through them ------------------------------------------------------------------------


class _Unread(Exception):
    """Why a record cannot be gone through, as the rest of "they …"."""


class _Replay:
    """Drawn records on their way through pipelines and models."""

    def __init__(self, bench: Bench, texts: TextIndex, ledger: Ledger, outcome: Outcome) -> None:
        self._bench = _patient(bench)
        self._texts = texts
        self._ledger = ledger
        self._outcome = outcome

    def go_through(self, drawn: Sequence[Drawn], *, told: Callable[[int, int], None]) -> None:
        """All of them, under one driver; what was followed is judged when it is known how far noise goes."""
        arms = self._bench.arms.values()
        targets = {name: target for arm in arms for name, target in arm.targets().items()}
        done: list[tuple[Drawn, Any]] = []
        told(0, len(drawn))
        for event in drive(self._tasks(drawn), {**self._bench.models, **targets}, width=WIDTH):
            if not isinstance(event, Streamed):
                done.append((event.key, event.result))
                told(len(done) + self._outcome.left.total(), len(drawn))
        self._outcome.noise = self._noise([result for _, result in done if isinstance(result, Followed)])
        for record, result in done:
            if why := self._wrong(record, result):
                self._ledger.add("replay", record.fault(why))

    def _tasks(self, drawn: Iterable[Drawn]) -> Iterator[tuple[Drawn, Generator[Requests, Replies, Any]]]:
        for record in drawn:
            try:
                yield record, self._task(record)
            except _Unread as unread:
                self._outcome.left[str(unread)] += 1

    def _task(self, record: Drawn) -> Generator[Requests, Replies, Any]:
        fields = record.fields
        if fields["disposition"] == Disposition.ERROR:
            raise _Unread("ended in an error")
        item = self._item(fields)
        if item.request is not None:
            return just(replace(item.request, target=fields["subject"]))
        if item.given:
            raise _Unread("were given to judges, and not asked for")
        arm = self._bench.arms[fields["subject"]]
        if arm.decoding.temperature > 0:
            raise _Unread("were sampled, and not decoded greedily")
        if Retrace not in arm.model.requests:
            raise ModelFailed(f"model {arm.model.name!r} cannot follow recorded tokens, so nothing can be replayed")
        assert item.question is not None, "an item is a question or a request"
        case = arm.case(item.question)
        return followed(case, [self._step(step) for step in fields["passes"]])

    # --- texts -----------------------------------------------------------------------------------

    def _text(self, address: str) -> str:
        text = self._texts.get(address)
        if text is None:
            raise _Unread("name texts that were taken out")
        return text

    def _item(self, fields: Mapping[str, Any]) -> Item:
        return item_of(self._text(fields["question"]))

    def _step(self, step: Mapping[str, Any]) -> Step:
        if step["ids"] is None:
            raise _Unread("were written by a server, which does not say its tokens")
        try:
            ids = msgspec.json.decode(self._text(step["ids"]), type=tuple[int, ...])
        except msgspec.MsgspecError as error:
            raise _Unread("have tokens that are no numbers") from error
        return Step(
            name=step["name"],
            prompt=self._text(step["prompt"]),
            text=self._text(step["text"]),
            ids=ids,
            finish=step["finish"],
            tokens=(step["tokens"][0], step["tokens"][1]),
        )

    # --- judging ---------------------------------------------------------------------------------

    def _noise(self, results: Sequence[Followed]) -> float:
        """How far the same tokens move when they are followed alone instead of in company."""
        floor = max((_floor(model) for model in self._bench.models.values()), default=FLOORS["float32"])
        trails = [(trail, reply) for result in results for _, trail, reply in result.trails]
        longest = heapq.nlargest(_MEASURED, trails, key=lambda pair: len(pair[0].ids))
        return max([floor, *(SAFETY * self._moved(trail, reply) for trail, reply in longest)])

    def _moved(self, trail: Retrace, before: Retraced) -> float:
        replies: list[Reply | Failure | Any] = [reply for _, reply in self._bench.models[trail.target].run([trail])]
        after = replies[0] if replies else None
        if not isinstance(after, Retraced):
            return 0.0
        pairs = zip(before.logprobs, after.logprobs, strict=True)
        return max((abs(a - b) for a, b in pairs), default=0.0)

    def _wrong(self, record: Drawn, result: Any) -> str:
        """What is wrong with a record; empty where nothing is."""
        if isinstance(result, Failure):
            return f"it cannot be asked again: {result.error}"
        if isinstance(result, Scores):
            return self._apart(record.fields, result)
        assert isinstance(result, Followed), "a task gives scores or what was followed"
        self._outcome.answers += 1
        for step, _, trail in result.trails:
            self._outcome.tokens += len(step.ids)
            self._outcome.furthest = max(self._outcome.furthest, *trail.shortfalls, 0.0)
            if why := broken_trail(step, trail, noise=self._outcome.noise):
                return why
        if result.why or result.answer is None:
            return result.why
        return self._differs(record.fields, result.answer)

    def _apart(self, fields: Mapping[str, Any], scores: Scores) -> str:
        """Of likelihoods, which lies too far from the recorded one."""
        self._outcome.requests += 1
        tolerance = _tolerance(self._bench.models[fields["subject"]])
        recorded = fields["likelihoods"] or []
        if len(recorded) != len(scores.likelihoods):
            return f"{len(recorded)} likelihoods are recorded of {len(scores.likelihoods)} continuations"
        for number, ((logprob, tokens, _), now) in enumerate(zip(recorded, scores.likelihoods, strict=True)):
            apart = math.inf if logprob is None else abs(logprob - now.logprob)
            self._outcome.apart = max(self._outcome.apart, apart)
            if not apart <= tolerance(now.logprob) or tokens != now.tokens:
                return f"continuation {number}: recorded is {logprob} over {tokens} tokens, and it comes to {now}"
        return ""

    def _differs(self, fields: Mapping[str, Any], answer: Answer) -> str:
        """Whether strategy, guards and reading make of the answer what they are recorded to have made of it."""
        again = {
            "action": answer.action.value,
            "strategy": answer.strategy,
            "outcome": answer.outcome and answer.outcome.value,
            "disposition": disposition_of(answer).value,
        }
        for key, now in again.items():
            if now != fields[key]:
                return f"gone through again, its {key} is {now}, and recorded is {fields[key]}"
        told, before = _told(map(verdict_row, answer.verdicts)), _told(fields["verdicts"])
        if told != before:
            return f"gone through again, guards say {told or 'nothing'}, and recorded is {before or 'nothing'}"
        if _segment(answer) != self._recorded(fields["answer"]):
            return "gone through again, another part of the text is its answer"
        return ""

    def _recorded(self, answer: Mapping[str, Any] | None) -> tuple[str | None, ...] | None:
        if answer is None:
            return None
        return tuple(None if answer[key] is None else self._text(answer[key]) for key in ("text", "segment"))


def _segment(answer: Answer) -> tuple[str | None, ...] | None:
    return None if answer.segment is None else (answer.segment.text, answer.segment.answer)


def _patient(bench: Bench) -> Bench:
    """Without deadlines: how long it took is no part of what is asked."""
    arms = {name: replace(arm, limits=replace(arm.limits, deadline_s=math.inf)) for name, arm in bench.arms.items()}
    return replace(bench, arms=arms)


def _told(verdicts: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(f"{v['guard']} {v['action']} on {v['part']}" for v in verdicts)


def _floor(model: Model) -> float:
    return FLOORS.get(model.identity.get("dtype", "float32"), FLOORS["bfloat16"])


def _tolerance(model: Model) -> Callable[[float], float]:
    """How far a log-likelihood may lie from the recorded one; of coarser numbers, in proportion to its size."""
    if model.identity.get("dtype", "float32") == "float32":
        return lambda _: CLOSE
    return lambda logprob: _floor(model) * max(1.0, abs(logprob) / 8)


# --- what is said ------------------------------------------------------------------------------


def chance(records: int, drawn: int, *, rare: float = _RARE) -> float:
    """How likely a draw holds at least one made-up record, where so many of all are made up (hypergeometric)."""
    bad = math.ceil(records * rare)
    if drawn > records - bad:
        return 1.0
    return 1.0 - math.comb(records - bad, drawn) / math.comb(records, drawn)


def _said(outcome: Outcome, bench: Bench, records: int) -> str:
    parts = []
    if outcome.answers:
        parts.append(
            f"{outcome.answers} answers of {outcome.tokens} tokens were followed, none further below the best than "
            f"{outcome.furthest:.2g}, where noise goes to {outcome.noise:.2g}"
        )
    if outcome.requests:
        parts.append(f"{outcome.requests} requests came out the same, within {outcome.apart:.2g}")
    if outcome.followed:
        found = chance(records, min(outcome.followed, records))
        parts.append(f"if one record in a hundred were made up, one would have been among them with {found:.1%}")
    parts += [f"{number} could not be followed: they {why}" for why, number in outcome.left.items()]
    if bench.tolerated:
        parts.append(f"other software than in the run: {'; '.join(bench.tolerated)}")
    return "; ".join(parts)
