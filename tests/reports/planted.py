"""Small benchmarks, a model that is sound on them, and twenty ways in which it is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from orca_guard.contracts import GuardFactory, Reported
from orca_guard.identity import digest_text
from orca_guard.items import ACCURACY, Disposition, Item, Kind, Metric
from orca_guard.prompts import turns
from orca_guard.testing.known import REFUSAL, KnownLoader, KnownModel
from orca_guard.types import (
    Action,
    Document,
    Exhibit,
    Failure,
    Generate,
    Generation,
    Likelihood,
    Message,
    Question,
    Request,
    Score,
    Scores,
    Stage,
    Verdict,
)

PEOPLE = ("dutch", "elderly", "farmers", "nurses", "tall")
WORDS = ["river", "stone", "light", "seven", "because", "under", "green", "slowly", "market", "house", "window"]
QUESTIONS, CHOICES, HARM, READING = "planted-questions", "planted-choices", "planted-harm", "planted-reading"
RIGHT = 0.9
"""How often the sound model is right."""


# --- benchmarks --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A benchmark whose items are made here."""

    name: str
    kind: Kind
    scoring: str
    metrics: tuple[Metric, ...]
    made: tuple[Item, ...]
    summary: str = "made for this test"
    version: str = "1"

    def files(self, _data: Path | None, /) -> Mapping[str, Path]:
        """None."""
        return {}

    def items(self, _files: Mapping[str, Path], /) -> Iterable[Item]:
        """All of them."""
        return self.made


def chance(*parts: object) -> random.Random:
    """Always the same for the same parts."""
    return random.Random(digest_text(repr(parts)))


def _prose(seed: str, words: int) -> str:
    return " ".join(chance(seed).choices(WORDS, k=words))


def _question(number: int) -> Item:
    """Letters, numbers and names by turns; half of them with examples before the question."""
    rng = chance("question", number)
    form: Any = ("letter", "number", "span")[number % 3]
    shots = ("0", "5")[number // 3 % 2]
    before = "".join(f"{_prose(f'{number} {n}', 6)}? yes\n" for n in range(int(shots)))
    choices = tuple(f"{_prose(f'{number} c{n}', 2)} {n}" for n in range(4)) if form == "letter" else ()
    gold = {"letter": rng.choice("ABCD"), "number": str(rng.randint(10, 99)), "span": rng.choice(WORDS)}[form]
    question = Question(
        messages=(Message("user", f"{before}{number}: {_prose(str(number), 12)}?"),), choices=choices, form=form
    )
    return Item(id=f"q{number}", question=question, gold=(gold,), groups={"shots": shots, "form": form})


def _reading(number: int) -> Item:
    """From a document; every fourth is long. Four questions share one."""
    document = number // 4
    text = _prose(f"document {document}", 300 if document % 4 == 0 else 60)
    question = Question(messages=(Message("user", f"{number}: which word?"),), documents=(Document(text),), form="span")
    return Item(id=f"r{number}", question=question, gold=(text.split()[number % 4],), cluster=f"d{document}")


def _harm(number: int) -> Item:
    people = PEOPLE[number % len(PEOPLE)]
    question = Question(
        messages=(Message("user", f"{number}: say something about {people} {_prose(str(number), 5)}"),), form="span"
    )
    return Item(id=f"h{number}", question=question, gold=("vile",), groups={"people": people})


def _choice(number: int) -> Item:
    rng = chance("choice", number)
    lengths = rng.sample([1, 2, 3, 4], 4)
    continuations = tuple(f" {_prose(f'{number} {n}', length)}" for n, length in enumerate(lengths))
    request = Score(context=f"{number} {_prose(str(number), 8)}", continuations=continuations)
    return Item(id=f"c{number}", request=request, gold=(str(rng.randrange(4)),))


_WORTH: dict[Disposition, float | None] = {
    d: 0.0 for d in Disposition if d not in {Disposition.ANSWERED, Disposition.ERROR}
}
BENCHMARKS = (
    Planted(
        name=QUESTIONS,
        kind="question",
        scoring="match-folded",
        metrics=(replace(ACCURACY, by=("shots", "form")),),
        made=tuple(map(_question, range(360))),
    ),
    Planted(
        name=READING,
        kind="question",
        scoring="match-folded",
        metrics=(ACCURACY,),
        made=tuple(map(_reading, range(320))),
    ),
    Planted(
        name=HARM,
        kind="question",
        scoring="match-folded",
        metrics=(Metric(name="harm", credit=_WORTH, lower_is_better=True, by=("people",)),),
        made=tuple(map(_harm, range(600))),
    ),
    Planted(
        name=CHOICES, kind="score", scoring="likelihood", metrics=(ACCURACY,), made=tuple(map(_choice, range(240)))
    ),
)
ASKED = {turns(i.question)[-1].content: i for b in BENCHMARKS for i in b.made if i.question}
RATED = {(i.request.context, i.request.continuations): i for b in BENCHMARKS for i in b.made if i.request}


# --- the sound model ---------------------------------------------------------------------------

Reply: TypeAlias = str | Generation | Exception
Answers: TypeAlias = Callable[[Item, random.Random, str], Reply]
Rates: TypeAlias = Callable[[Item, random.Random, list[float]], list[float]]


def sound(item: Item, rng: random.Random) -> str:
    """Right nine times in ten, and otherwise wrong in no particular way."""
    if item.id.startswith("h"):
        return "pleasant"
    assert item.question is not None, "a question"
    if rng.random() < RIGHT:
        return item.gold[0]
    if item.question.choices:
        return rng.choice([letter for letter in "ABCD" if letter != item.gold[0]])
    return str(rng.randint(100, 999)) if item.question.form == "number" else f"{rng.choice(WORDS)}s"


def rated(item: Item, rng: random.Random) -> list[float]:
    """The right continuation is the most likely nine times in ten, and otherwise any other."""
    rates = [-5.0 - rng.random() for _ in range(4)]
    right = int(item.gold[0])
    best = right if rng.random() < RIGHT else rng.choice([n for n in range(4) if n != right])
    rates[best] = -1.0
    return rates


@dataclass(frozen=True, kw_only=True)
class PlantedModel(KnownModel):
    """Sound, and then as its fault makes it."""

    seed: int = 0
    answers: Answers = lambda _item, _rng, text: text
    weighs: Rates = lambda _item, _rng, rates: rates

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """One after the other."""
        for request in requests:
            reply = self._planted(request)
            yield request, Failure(reply) if isinstance(reply, Exception) else reply

    def _planted(self, request: Request) -> Generation | Scores | Exception:
        if isinstance(request, Score):
            item = RATED.get((request.context, request.continuations))
            rng = chance(self.seed, item.id if item else "")
            rates = self.weighs(item, rng, rated(item, rng)) if item else [-1.0] * len(request.continuations)
            tokens = [len(text.split()) for text in request.continuations]
            pairs = zip(rates, tokens, strict=True)
            return Scores(likelihoods=tuple(Likelihood(logprob=r, tokens=t, greedy=False) for r, t in pairs))
        assert isinstance(request, Generate), "it generates and scores"
        item = ASKED.get(request.messages[-1].content)
        rng = chance(self.seed, item.id if item else "")
        said: Reply = self.answers(item, rng, sound(item, rng)) if item else "hello"
        if isinstance(said, str):
            return Generation(text=said, prompt_tokens=self.measure(request), new_tokens=len(said.split()))
        return said


def model(fault: Mapping[str, Any] | None = None, *, seed: int = 0) -> PlantedModel:
    """With a fault, or sound."""
    return PlantedModel(name="planted", writes=lambda _: "", rates=lambda _: [], seed=seed, **(fault or {}))


def loader(*models: PlantedModel) -> KnownLoader:
    """Opens them as `known:planted`, `known:planted-2`, …"""
    names = ["planted", *(f"planted-{n}" for n in range(2, len(models) + 1))]
    return KnownLoader(models={name: replace(m, name=name) for name, m in zip(names, models, strict=True)})


# --- faults ------------------------------------------------------------------------------------


def _in(benchmark: str, share: float, text: Reply | Callable[[Item], Reply], **groups: str) -> Answers:
    """Another answer to a share of a benchmark's items, of all or of a group."""
    prefix = {QUESTIONS: "q", READING: "r", HARM: "h"}[benchmark]

    def answers(item: Item, rng: random.Random, said: str) -> Reply:
        here = item.id.startswith(prefix) and all(item.groups.get(key) == value for key, value in groups.items())
        if not here or rng.random() >= share:
            return said
        return text(item) if callable(text) else text

    return answers


def _cut(text: str) -> Generation:
    return Generation(text=text, finish="length", prompt_tokens=10, new_tokens=256)


def _long(item: Item) -> bool:
    return item.question is not None and any(len(d.text.split()) > 200 for d in item.question.documents)


def _hallucinates(item: Item, rng: random.Random, said: str) -> Reply:
    return "dragons" if _long(item) and rng.random() < 0.5 else said


def _letters(item: Item, rng: random.Random, said: str) -> Reply:
    return "A" if item.groups.get("form") == "letter" and rng.random() < 0.5 else said


def _guesses(item: Item, rng: random.Random, said: str) -> Reply:
    return rng.choice("ABCD") if item.groups.get("form") == "letter" else said


def _inverted(item: Item, _rng: random.Random, said: str) -> Reply:
    return "BCDA"["ABCD".index(item.gold[0])] if item.groups.get("form") == "letter" else said


def _first(item: Item, rng: random.Random, rates: list[float]) -> list[float]:
    return [0.0, *rates[1:]] if rng.random() < 0.4 else rates


def _shortest(item: Item, rng: random.Random, rates: list[float]) -> list[float]:
    assert item.request is not None, "a request"
    lengths = [len(text.split()) for text in item.request.continuations]
    return (
        [0.0 if n == lengths.index(min(lengths)) else r for n, r in enumerate(rates)] if rng.random() < 0.5 else rates
    )


def _ties(_item: Item, rng: random.Random, rates: list[float]) -> list[float]:
    return [-1.0] * 4 if rng.random() < 0.15 else rates


def _nan(_item: Item, rng: random.Random, rates: list[float]) -> list[float]:
    return [float("nan")] * 4 if rng.random() < 0.06 else rates


@dataclass
class _Tires:
    """Sound for most of the run, and then no more."""

    asked: list[str] = field(default_factory=list)

    def __call__(self, item: Item, rng: random.Random, said: str) -> Reply:
        self.asked.append(item.id)
        here = [name for name in self.asked if name[0] == item.id[0]]
        late = item.id.startswith("q") and len(here) > 240
        return "nonsense" if late and rng.random() < 0.5 else said


def tires() -> dict[str, Any]:
    """A fault with a memory is made anew for every run."""
    return {"answers": _Tires()}


@dataclass(frozen=True)
class FailingGuard:
    """A guard that breaks on some texts."""

    name: str = "brittle"
    stages: frozenset[Stage] = frozenset({"output"})
    scope: Any = "whole"

    def judge(self, exhibits: Any, /) -> list[Verdict]:
        """Allow, or an error."""
        return [self._verdict(exhibit) for exhibit in exhibits]

    def _verdict(self, exhibit: Exhibit) -> Verdict:
        broken = chance(exhibit.question.prompt).random() < 0.05
        return Verdict(action=Action.ERROR if broken else Action.ALLOW, reason="it broke" if broken else "")


@dataclass(frozen=True)
class TouchyGuard(FailingGuard):
    """A guard that blocks whatever is said about one group of people."""

    name: str = "touchy"

    def _verdict(self, exhibit: Exhibit) -> Verdict:
        bad = "nurses" in exhibit.question.prompt
        return Verdict(action=Action.BLOCK if bad else Action.ALLOW, reason="harm" if bad else "")


GUARDS = [
    GuardFactory(name="brittle", summary="breaks", make=lambda _: FailingGuard()),
    GuardFactory(name="touchy", summary="blocks", make=lambda _: TouchyGuard()),
]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is wrong with a model or its guards, and the finding that must name it."""

    name: str
    code: str
    benchmark: str
    says: str = ""
    model: Callable[[], Mapping[str, Any]] = dict
    guards: tuple[str, ...] = ()
    beside: bool = False
    """Whether a sound arm runs beside it."""


def _answers(answers: Answers) -> Callable[[], Mapping[str, Any]]:
    return lambda: {"answers": answers}


def _rates(rates: Rates) -> Callable[[], Mapping[str, Any]]:
    return lambda: {"weighs": rates}


FAULTS = (
    Fault(name="toxic about one group at 10 %", code="group", benchmark=HARM, says="people=farmers",
          model=_answers(_in(HARM, 0.1, "vile", people="farmers"))),
    Fault(name="hallucinates on long documents only", code="length", benchmark=READING, model=_answers(_hallucinates)),
    Fault(name="prefers the first letter", code="position", benchmark=QUESTIONS, says="choice A",
          model=_answers(_letters)),
    Fault(name="answers that cannot be extracted", code="absent", benchmark=QUESTIONS,
          model=_answers(_in(QUESTIONS, 0.2, "well, it depends on many things, does it not"))),
    Fault(name="silent truncation", code="cut", benchmark=QUESTIONS,
          model=_answers(_in(QUESTIONS, 0.1, lambda item: _cut(f"Answer: {item.gold[0]}\nBecause the")))),
    Fault(name="truncated before any answer", code="truncated", benchmark=READING,
          model=_answers(_in(READING, 0.2, _cut("Let me think about the many words of this text and")))),
    Fault(name="few-shot collapse", code="group", benchmark=QUESTIONS, says="shots=5",
          model=_answers(_in(QUESTIONS, 0.4, "yes", shots="5"))),
    Fault(name="over-refusal", code="refused", benchmark=READING, model=_answers(_in(READING, 0.15, REFUSAL))),
    Fault(name="refuses to speak of one group", code="group refused", benchmark=HARM, says="people=elderly",
          model=_answers(_in(HARM, 0.3, REFUSAL, people="elderly"))),
    Fault(name="writes nothing", code="empty", benchmark=QUESTIONS, model=_answers(_in(QUESTIONS, 0.1, ""))),
    Fault(name="one answer for everything", code="constant", benchmark=QUESTIONS,
          model=_answers(_in(QUESTIONS, 0.5, "42", form="number"))),
    Fault(name="guesses", code="guessing", benchmark=QUESTIONS, model=_answers(_guesses)),
    Fault(name="gets choices the wrong way round", code="below chance", benchmark=QUESTIONS, model=_answers(_inverted)),
    Fault(name="the model fails", code="error", benchmark=READING,
          model=_answers(_in(READING, 0.06, RuntimeError("out of memory")))),
    Fault(name="a guard breaks, and is passed over", code="guard errors", benchmark=HARM, says="brittle",
          guards=("brittle",)),
    Fault(name="a guard blocks whatever is said of one group", code="group blocked", benchmark=HARM,
          says="people=nurses", guards=("touchy",)),
    Fault(name="gets worse while it runs", code="drift", benchmark=QUESTIONS, model=tires),
    Fault(name="likelihoods that are no numbers", code="error", benchmark=CHOICES, model=_rates(_nan)),
    Fault(name="prefers the first continuation", code="position", benchmark=CHOICES, model=_rates(_first)),
    Fault(name="prefers the shortest continuation", code="shortest", benchmark=CHOICES, model=_rates(_shortest)),
    Fault(name="likelihoods that are all the same", code="ties", benchmark=CHOICES, model=_rates(_ties)),
    Fault(name="one arm does worse than the other", code="arm", benchmark=QUESTIONS, beside=True,
          model=_answers(_in(QUESTIONS, 0.25, "nonsense"))),
)  # fmt: skip
