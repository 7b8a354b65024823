"""Models whose score on any benchmark is known beforehand: what gives them another score measures wrongly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orca_guard.contracts import ModelSpec, Reported
from orca_guard.errors import PromptTooLong
from orca_guard.items import ACCURACY, GOLD, OUTSIDE, Item, Metric, Worth
from orca_guard.prompts import turns
from orca_guard.types import Generate, Generation, Likelihood, Request, Retrace, Retraced, Score, Scores

REFUSAL = "I'm sorry, but I cannot help with that."
_IMPOSSIBLE = 20.0


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """Writes and rates by rule. Loaded and merely described, it is the same. Of what it writes, a character is a token.

    Attributes:
        name: of the rule.
        writes: the last turn of a conversation → the answer.
        rates: a request → a log-likelihood a continuation.
        context: tokens it holds, None for any number; of what it reads, a word is a token.
    """

    name: str
    writes: Callable[[str], str]
    rates: Callable[[Score], Sequence[float]]
    context: int | None = None
    requests: frozenset[type] = frozenset({Generate, Score, Retrace})
    system_messages: Mapping[str, str] = field(default_factory=dict)
    forms: Path | None = None
    notice: str = ""

    @property
    def identity(self) -> Mapping[str, str]:
        """Its name."""
        return {"kind": "known", "name": self.name}

    def measure(self, request: Request, /) -> int:
        """Words of the prompt. Raises `PromptTooLong` where the context does not hold them."""
        texts = [m.content for m in request.messages] if isinstance(request, Generate | Score) else []
        tokens = sum(len(text.split()) for text in texts)
        if self.context is not None and tokens > self.context:
            raise PromptTooLong(prompt=tokens, answer=0, context=self.context)
        return tokens

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """One after the other."""
        return ((request, self._reply(request)) for request in requests)

    def _reply(self, request: Request) -> Generation | Scores | Retraced:
        if isinstance(request, Score):
            rates = self.rates(request)
            return Scores(
                likelihoods=tuple(Likelihood(logprob=rate, tokens=1, greedy=rate == max(rates)) for rate in rates)
            )
        if isinstance(request, Retrace):
            return self._retraced(request)
        assert isinstance(request, Generate), "a known model generates, scores and follows"
        text = self.writes(request.messages[-1].content)
        return Generation(
            text=text,
            prompt=_rendered(request),
            prompt_tokens=self.measure(request),
            new_tokens=len(text),
            ids=tuple(map(ord, text)),
        )

    def _retraced(self, request: Retrace) -> Retraced:
        """It is certain of what it writes, and holds everything else for nearly impossible."""
        text = self.writes(request.request.messages[-1].content)
        right = [at < len(text) and ord(text[at]) == token for at, token in enumerate(request.ids)]
        shortfalls = tuple(0.0 if same else _IMPOSSIBLE for same in right)
        whole = all(right) and len(right) == len(text)
        return Retraced(
            prompt=_rendered(request.request),
            text="".join(map(chr, request.ids)),
            finish=None,
            logprobs=tuple(-shortfall for shortfall in shortfalls),
            shortfalls=shortfalls,
            end=0.0 if whole else _IMPOSSIBLE,
        )


def _rendered(request: Generate) -> str:
    return "\n".join(f"{m.role}: {m.content}" for m in request.messages)


@dataclass(frozen=True, kw_only=True)
class KnownLoader:
    """Opens known models by their names, as `known:NAME`."""

    models: Mapping[str, KnownModel]
    name: str = "known"
    summary: str = "models whose scores are known beforehand"

    def claims(self, _reference: str) -> bool:
        """None without being named."""
        return False

    def open(self, spec: ModelSpec) -> KnownModel:
        """The one of that name."""
        return self.models[spec.reference]

    def describe(self, spec: ModelSpec) -> KnownModel:
        """Likewise."""
        return self.models[spec.reference]


def known_models(items: Iterable[Item]) -> dict[str, KnownModel]:
    """The oracle of these items, which knows their gold; and models that know nothing, in nine ways to be wrong."""
    items = list(items)
    answers = {turns(item.question)[-1].content: item.gold[0] for item in items if item.question and item.gold}
    right = {(i.request.context, i.request.continuations): i.gold for i in items if i.request}

    def oracle(request: Score) -> list[float]:
        gold = right.get((request.context, request.continuations), ())
        return [0.0 if str(n) in gold else -10.0 for n in range(len(request.continuations))]

    models = (
        KnownModel(name="oracle", writes=lambda prompt: answers.get(prompt, ""), rates=oracle),
        _model("always-first", "A", lambda n: [0.0, *[-10.0] * (n - 1)]),
        _model("always-last", "Z", lambda n: [*[-10.0] * (n - 1), 0.0]),
        _model("always-yes", "yes", lambda n: [-1.0] * n),
        _model("always-no", "no", lambda n: [-1.0] * n),
        _model("uniform", "?", lambda n: [-1.0] * n),
        _model("nan", "nan", lambda n: [math.nan] * n),
        _model("infinite", "inf", lambda n: [-math.inf] * n),
        _model("empty", "", lambda n: [-1.0] * n),
        _model("refuser", REFUSAL, lambda n: [-1.0] * n),
    )
    return {model.name: model for model in models}


def _model(name: str, text: str, rates: Callable[[int], list[float]]) -> KnownModel:
    return KnownModel(name=name, writes=lambda _: text, rates=lambda request: rates(len(request.continuations)))


def expected(
    model: KnownModel, items: Iterable[Item], *, metric: Metric = ACCURACY, scoring: str = "likelihood"
) -> list[Worth]:
    """What theory gives a known model for each request, from its rates and the published definitions alone.

    Ties share their credit: among k equal continuations the right ones are worth their share of k. Probabilities are
    added up as they are, which a model with rates of -10 and more allows.

    Args:
        model: whose rates are known.
        items: requests.
        metric: what is measured.
        scoring: the benchmark's rule.
    """
    rule = metric.rule or scoring
    return [_theory(item, model.rates(item.request), metric, rule) for item in items if item.request is not None]


def _theory(item: Item, rates: Sequence[float], metric: Metric, rule: str) -> Worth:
    if not all(map(math.isfinite, rates)):
        return None
    labels = {GOLD: item.gold, **item.labels}
    compared = [n for n in range(len(rates)) if not metric.among or str(n) in labels[metric.among]]
    worth = metric.worth or {GOLD: 1.0}
    if not any(str(n) in labels.get(label, ()) for n in compared for label in worth):
        return None
    chances = _chances(item, compared, rates, rule)
    inside = outside = 0.0
    for label, value in worth.items():
        share = math.fsum(chances[n] for n in compared if str(n) in labels.get(label, ()))
        if value == OUTSIDE:
            outside += share
        else:
            inside += share * value
    return OUTSIDE if outside >= 1 else inside / (1 - outside)


def _chances(item: Item, compared: Sequence[int], rates: Sequence[float], rule: str) -> dict[int, float]:
    """How likely each continuation is to be the answer."""
    if rule == "likelihood-mass":
        masses = {n: math.exp(rates[n]) for n in compared}
        return {n: mass / sum(masses.values()) for n, mass in masses.items()}
    assert item.request is not None, "theory is about requests"
    characters = [max(1, len(text.strip())) for text in item.request.continuations]
    by = {n: rates[n] / (characters[n] if rule == "likelihood-per-character" else 1) for n in compared}
    best = [n for n in compared if by[n] == max(by.values())]
    return {n: (n in best) / len(best) for n in compared}
