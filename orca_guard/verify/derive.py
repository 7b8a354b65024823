"""One record at a time: its item, what was read from its answer, what became of it and its scores, all done again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

from orca_guard.errors import BadInput
from orca_guard.identity import digest_text
from orca_guard.items import Disposition, Item, Opinion, Worth, disposition_of, item_of
from orca_guard.journal.chain import Fault
from orca_guard.judging.rubric import Rubric, rubric_of, verdict
from orca_guard.reading import read
from orca_guard.scoring import Rules, marked
from orca_guard.types import Action, Answer, Outcome, Reading, Segment
from orca_guard.verify.planned import Planned
from orca_guard.verify.report import Ledger
from orca_guard.verify.shapes import BenchmarkShape, JudgedShape, JudgeShape, Record
from orca_guard.verify.texts import TextIndex

_SHOWN = frozenset({Action.ALLOW, Action.REDACT})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands."""

    file: str
    line: int


class Deriver:
    """Does again what can be done again from a record and its texts, and notes what comes out otherwise.

    Args:
        planned: the plan with its items.
        texts: of the run.
        ledger: where faults go.

    Attributes:
        done: how often each check could be made.
        unread: how often it could not, because a text was taken out.
        masked: answers whose choices a guard had masked, so that they cannot be read as they were.
        withheld: records of questions without an answer.
        failed: records of requests without likelihoods.
    """

    def __init__(self, planned: Planned, texts: TextIndex, ledger: Ledger) -> None:
        self.done: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.masked = 0
        self.withheld = 0
        self.failed = 0
        self._planned = planned
        self._texts = texts
        self._ledger = ledger
        self._known: tuple[str, str, Item | None] = ("", "", None)
        self._worth: dict[str, dict[str, Worth]] = {}
        self._rubrics = {
            (entry.name, judge.name): (judge, _rubric(judge))
            for entry in planned.benchmarks.values()
            for judge in entry.judges
        }

    def derive(self, record: Record, place: Place) -> None:
        """Everything about one record of the plan."""
        benchmark = self._planned.benchmarks[record.benchmark]
        self._mention(record)
        item = self._item(record, benchmark, place)
        if benchmark.kind == "question":
            scores = self._question(record, benchmark, item, place)
        else:
            scores = self._request(record, benchmark, item, place)
        self._check_scores(record, benchmark, scores, place)

    def _fault(self, check: str, record: Record, place: Place, what: str) -> None:
        name = f"{record.benchmark}/{record.item} under {record.subject}"
        self._ledger.add(check, Fault(place.file, place.line, f"{name}: {what}"))

    def _mention(self, record: Record) -> None:
        """Count the texts that it names, each once."""
        named = {record.question, record.value}
        for step in record.passes:
            named |= {step.prompt, step.text, step.ids}
        if record.answer is not None:
            named |= {record.answer.text, record.answer.segment}
        for one in record.judged:
            named |= {one.asked, one.said}
        self._texts.mention(named)

    # --- the item ------------------------------------------------------------------------------

    def _item(self, record: Record, benchmark: BenchmarkShape, place: Place) -> Item | None:
        """The item, if its text is here and is what the plan has. Records of one item stand together."""
        if self._known[:2] != (record.question, record.digest):
            self._known = (record.question, record.digest, self._read_item(record, benchmark, place))
            self._worth.clear()
        item = self._known[2]
        (self.unread if item is None else self.done)["gold"] += 1
        return item

    def _read_item(self, record: Record, benchmark: BenchmarkShape, place: Place) -> Item | None:
        text = self._texts.get(record.question)
        if text is None:
            return None
        digest = digest_text(text)
        if digest != record.digest:
            what = f"the text of its item has digest {digest}, and the plan has {record.digest}: it was changed"
            self._fault("gold", record, place, what)
            return None
        try:
            item = item_of(text)
        except BadInput as error:
            self._fault("gold", record, place, str(error))
            return None
        if item.kind != benchmark.kind or item.id != record.item or not self._planned.is_marked(record, item):
            self._fault("gold", record, place, "its line in items.jsonl has another id, cluster, group or kind")
            return None
        return item

    # --- questions -----------------------------------------------------------------------------

    def _question(
        self, record: Record, benchmark: BenchmarkShape, item: Item | None, place: Place
    ) -> dict[str, Worth] | None:
        """The scores of its answer, none where it has none; None where they cannot be known."""
        self._check_disposition(record, item, place)
        found = self._check_reading(record, item, place)
        if record.disposition is not Disposition.ANSWERED:
            if record.judged:
                self._fault("judges", record, place, "it has no answer that was read, and judges of it")
            return {}
        value = None if record.value is None else self._texts.get(record.value)
        if value is None and found is not None:
            value = found.value
        if item is None or value is None:
            return None
        rules = Rules(benchmark.scoring, benchmark.metrics)
        if benchmark.judges:
            return rules.of_value(value, item, self._opinions(record, benchmark, item, value, place))
        if value not in self._worth:
            self._worth[value] = rules.of_value(value, item)
        return self._worth[value]

    def _check_disposition(self, record: Record, item: Item | None, place: Place) -> None:
        asked = item is not None and not item.given
        if why := _contradiction(record) or ("an answer of nobody" if asked and _unasked(record) else ""):
            self._fault("dispositions", record, place, why)
            return
        broken = any(v.action is Action.ERROR and v.effect not in _SHOWN for v in record.verdicts)
        wanted = _disposition(record.action, record.outcome, broken=broken)
        self.done["dispositions"] += 1
        if record.disposition is not wanted:
            what = f"it is recorded as {record.disposition}, and its action and outcome make it {wanted}"
            self._fault("dispositions", record, place, what)

    def _check_reading(self, record: Record, item: Item | None, place: Place) -> Reading | None:
        """What its answer reads as; None where it cannot be read."""
        if record.answer is None:
            self.withheld += 1
            return None
        segment = self._segment(record)
        if segment is None or item is None or item.question is None:
            self.unread["reading"] += 1
            return None
        found = read(segment, item.question.form, choices=item.question.choices)
        why = self._differs(record, found)
        if why and item.question.choices and _masked(record):
            self.masked += 1
            return None
        self.done["reading"] += 1
        if why:
            self._fault("reading", record, place, why)
        return found

    def _segment(self, record: Record) -> Segment | None:
        assert record.answer is not None, "asked of records with an answer"
        text, address = self._texts.get(record.answer.text), record.answer.segment
        answer = None if address is None else self._texts.get(address)
        if text is None or (address is not None and answer is None):
            return None
        return Segment(text=text, answer=answer, finish=record.answer.finish)

    def _differs(self, record: Record, found: Reading) -> str:
        """What is not as it was read. Of a value that was taken out, only that there is one."""
        if found.outcome is not record.outcome:
            return f"its outcome is recorded as {record.outcome}, and its answer reads as {found.outcome}"
        value = None if record.value is None else self._texts.get(record.value)
        if (found.value is None) != (record.value is None) or (value is not None and value != found.value):
            return f"its value is recorded as {value!r:.60}, and its answer reads as {found.value!r:.60}"
        return ""

    # --- judges --------------------------------------------------------------------------------

    def _opinions(
        self, record: Record, benchmark: BenchmarkShape, item: Item, value: str, place: Place
    ) -> list[Opinion]:
        """What judges said of an answer; each was shown what its rubric shows, and its verdict is read anew."""
        if item.given and value.strip() != item.given[0].strip():
            self._fault("judges", record, place, "its answer is not the one that its item gives")
        asked = [judge.name for judge in benchmark.judges if not item.given or judge.name in item.labels]
        wanted = {(name, of) for name in asked for of in range(max(1, len(item.given)))}
        seen = [(one.judge, one.of) for one in record.judged]
        if set(seen) != wanted or len(seen) != len(wanted):
            what = f"it has the verdicts {sorted(seen)}, and the plan calls for {sorted(wanted)}"
            self._fault("judges", record, place, what)
            return []
        answers = (value, *item.given[1:])
        for one in record.judged:
            self._check_judged(record, one, item, answer=answers[one.of], place=place)
        return [Opinion(judge=one.judge, of=one.of, score=one.score) for one in record.judged]

    def _check_judged(self, record: Record, one: JudgedShape, item: Item, *, answer: str, place: Place) -> None:
        judge, rubric = self._rubrics[record.benchmark, one.judge]
        asked, said = self._texts.get(one.asked), self._texts.get(one.said)
        if asked is None or said is None or rubric is None:
            self.unread["judges"] += 1
            return
        self.done["judges"] += 1
        judged = rubric.judged(answer)
        if asked != (rubric.prompt(item, judged) if judge.threshold is None else judged):
            what = f"judge {one.judge!r} was not shown what its rubric shows of this answer"
            self._fault("judges", record, place, what)
        failed = not said and bool(one.why)
        score = None if failed else verdict(rubric, said, one.raw, judge.threshold)[0]
        if score != one.score:
            what = f"the verdict of judge {one.judge!r} is recorded as {one.score}, and what it said makes it {score}"
            self._fault("judges", record, place, what)

    # --- requests ------------------------------------------------------------------------------

    def _request(
        self, record: Record, benchmark: BenchmarkShape, item: Item | None, place: Place
    ) -> dict[str, Worth] | None:
        """Likewise, of likelihoods."""
        if record.passes or record.verdicts or (record.answer, record.outcome, record.value) != (None, None, None):
            self._fault("dispositions", record, place, "a request has no answer, and this one has")
        if record.likelihoods is None:
            self.failed += 1
            self._check_request(record, None, place)
            return {}
        if item is None:
            return None
        rules = Rules(benchmark.scoring, benchmark.metrics)
        scores, _ = rules.of_likelihoods(record.likelihoods, item)
        self._check_request(record, rules.first(scores), place)
        return scores

    def _check_request(self, record: Record, first: Worth, place: Place) -> None:
        failed = (Disposition.ERROR, Action.ERROR)
        wanted = failed if first is None else (Disposition.ANSWERED, Action.ALLOW)
        self.done["dispositions"] += 1
        if (record.disposition, record.action) != wanted:
            told = f"it is recorded as {record.disposition} and {record.action}"
            self._fault("dispositions", record, place, f"{told}, and its likelihoods make it {' and '.join(wanted)}")

    # --- scores --------------------------------------------------------------------------------

    def _check_scores(
        self, record: Record, benchmark: BenchmarkShape, known: dict[str, Worth] | None, place: Place
    ) -> None:
        """Where the scores cannot be known, that the mark follows from those that are recorded."""
        (self.unread if known is None else self.done)["scores"] += 1
        scores, mark = marked(record.disposition, record.scores if known is None else known, benchmark.metrics)
        if record.scores != scores:
            self._fault("scores", record, place, f"its scores are recorded as {record.scores}, and come to {scores}")
        elif record.mark is not mark:
            self._fault("scores", record, place, f"it is marked {record.mark}, and its scores make it {mark}")


def _rubric(judge: JudgeShape) -> Rubric | None:
    """None where the plan's rubric is none that this version knows: nothing can be told of its verdicts."""
    try:
        return rubric_of(judge.rubric)
    except BadInput:
        return None


@cache
def _disposition(action: Action, outcome: Outcome | None, *, broken: bool) -> Disposition:
    return disposition_of(Answer(id="", action=action, outcome=outcome, error="error" if broken else ""))


def _contradiction(record: Record) -> str:
    """What cannot stand together in one record of a question, whatever the model and the guards said."""
    action, outcome = record.action, record.outcome
    shown = action in _SHOWN
    empty = action is Action.ABSTAIN and outcome is Outcome.EMPTY
    stopped = any(verdict.stage == "input" and verdict.effect not in _SHOWN for verdict in record.verdicts)
    blocked = action is not Action.BLOCK or any(verdict.effect is Action.BLOCK for verdict in record.verdicts)
    rules = (
        (shown is (record.answer is not None), "an answer is there that its action withholds, or the other way round"),
        (shown or empty or outcome is None, "there is no answer, and an outcome of it"),
        (not shown or outcome not in {None, Outcome.EMPTY}, "there is an answer, and no outcome of it"),
        ((record.value is None) is not (outcome is Outcome.EXTRACTED), "a value is what is extracted, and no more"),
        (record.likelihoods is None, "a question has no likelihoods"),
        (not (shown and stopped), "there is an answer to a question that a guard stopped"),
        (blocked, "it is blocked, and no guard blocked it"),
        (len(record.attempts) <= len(record.passes), "it has more attempts than passes"),
        (not any(one in _SHOWN for one in record.attempts[:-1]), "it was tried again after guards let it through"),
        (
            not shown or _unasked(record) or record.attempts[-1:] in {(Action.ALLOW,), (Action.REDACT,)},
            "no attempt was let through",
        ),
    )
    return next((why for holds, why in rules if not holds), "")


def _unasked(record: Record) -> bool:
    """Whether its answer is one that the item gives, if it gives any: nobody was asked for it."""
    return record.answer is not None and not record.passes and not record.attempts


def _masked(record: Record) -> bool:
    """Whether a guard changed the question before it was asked."""
    return any(v.stage == "input" and v.effect is Action.REDACT for v in record.verdicts)
