"""Deterministic scoring: what was read or computed, held against an item's gold, becomes a score, metrics and a mark.

None is a score that cannot be told. It is never 0 and never 1, and whoever asked hears why.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from string import whitespace
from typing import Any, TypeAlias, TypeVar

from orca_guard.errors import UnknownName
from orca_guard.items import Disposition, Item, Mark, Metric
from orca_guard.reading import read
from orca_guard.types import Likelihood, Question, Score, Segment

ReadingRule: TypeAlias = Callable[[str, Collection[str]], float]
"""A value and the accepted ones, both as `reading.read` gives them → a score in [0, 1]."""

LikelihoodRule: TypeAlias = Callable[[Sequence[str], Sequence[Likelihood], Collection[int]], float]
"""Continuations, their likelihoods and the numbers of the right ones → a score in [0, 1]."""

R = TypeVar("R")

_MOST_TOKENS = 2**53
_ROUNDING = 1e-3


# --- what was read -----------------------------------------------------------------------------


def match(value: str, accepted: Collection[str]) -> float:
    """Exact match: 1 where the value equals one of the accepted ones, character for character.

    Both sides come out of the same reading, so "18.00" and "18", or "b" and "B", are equal before they get here.
    """
    return float(value in accepted)


def match_folded(value: str, accepted: Collection[str]) -> float:
    """Exact match where case, blanks, the articles a, an and the, and punctuation at the end do not count.

    Close to the exact match of SQuAD (Rajpurkar et al. 2016), which drops all punctuation: "3.5" and "35" differ here.
    """
    return float(_folded(value) in {_folded(text) for text in accepted})


READING_RULES: Mapping[str, ReadingRule] = {"match": match, "match-folded": match_folded}
"""Rules for questions."""

_ARTICLES = frozenset({"a", "an", "the"})
_END = ".,;:!?\u2026\u3002" + whitespace


def _folded(text: str) -> str:
    """A text of articles only stays: the blood group A is no empty answer."""
    words = text.casefold().rstrip(_END).split()
    return " ".join(word for word in words if word not in _ARTICLES) or " ".join(words)


def score_value(rule: str, value: str | None, item: Item) -> float | None:
    """Score of a value that was read from an answer to the item's question.

    Args:
        rule: one of `READING_RULES`.
        value: as `reading.read` gave it; None where there is none.
        item: with its question's form and choices, in which its gold is read too.

    Returns:
        None where there is no value, no gold, or a gold that cannot be read in the item's form: a benchmark's fault
        is no failure of the model.

    Raises:
        UnknownName: there is no such rule.
    """
    function = _rule(READING_RULES, rule)
    accepted = [_gold(gold, item.question) for gold in item.gold] if item.question else []
    known = [gold for gold in accepted if gold is not None]
    return function(value, known) if value is not None and known and len(known) == len(accepted) else None


def _gold(gold: str, question: Question) -> str | None:
    return read(Segment(text=gold, answer=gold), question.form, choices=question.choices).value


# --- what was computed -------------------------------------------------------------------------


def likelihood(_: Sequence[str], likelihoods: Sequence[Likelihood], right: Collection[int]) -> float:
    """Whether the continuation with the highest total log-probability is right (`acc` of lm-evaluation-harness)."""
    return _credit([x.logprob for x in likelihoods], right)


def likelihood_per_token(_: Sequence[str], likelihoods: Sequence[Likelihood], right: Collection[int]) -> float:
    """The same of the log-probability divided by the continuation's tokens (Brown et al. 2020)."""
    return _credit([x.logprob / x.tokens for x in likelihoods], right)


def likelihood_per_character(
    continuations: Sequence[str], likelihoods: Sequence[Likelihood], right: Collection[int]
) -> float:
    """The same of the log-probability divided by the continuation's characters (`acc_norm` of lm-evaluation-harness).

    Blanks around a continuation are not counted: they belong to the join with the context and not to the choice.
    """
    pairs = zip(likelihoods, continuations, strict=True)
    return _credit([x.logprob / max(1, len(text.strip())) for x, text in pairs], right)


def greedy(_: Sequence[str], likelihoods: Sequence[Likelihood], right: Collection[int]) -> float:
    """Whether greedy decoding writes a right continuation, every token of it (accuracy of LAMBADA)."""
    return float(any(likelihoods[number].greedy for number in right))


def likelihood_mass(_: Sequence[str], likelihoods: Sequence[Likelihood], right: Collection[int]) -> float:
    """Share of the right continuations in the probability of all of them (MC2 of TruthfulQA, Lin et al. 2022).

    Probabilities are of whole continuations and are not divided by length. They are compared with the greatest of them
    and never taken by themselves: that of a long answer is below the smallest number there is.
    """
    best = max(x.logprob for x in likelihoods)
    masses = [math.exp(x.logprob - best) for x in likelihoods]
    return math.fsum(masses[number] for number in right) / math.fsum(masses)


LIKELIHOOD_RULES: Mapping[str, LikelihoodRule] = {
    "likelihood": likelihood,
    "likelihood-per-token": likelihood_per_token,
    "likelihood-per-character": likelihood_per_character,
    "likelihood-mass": likelihood_mass,
    "greedy": greedy,
}
"""Rules for requests."""


def _credit(values: Sequence[float], right: Collection[int]) -> float:
    """The share of right ones among those that are best: a tie is no win for whichever stands first."""
    best = max(values)
    tied = [number for number, value in enumerate(values) if value == best]
    return sum(number in right for number in tied) / len(tied)


def score_likelihoods(rule: str, rows: Sequence[Any], item: Item) -> tuple[float | None, str]:
    """Score of an item's request, from `[log-probability, tokens, greedy]` of every continuation.

    Args:
        rule: one of `LIKELIHOOD_RULES`.
        rows: in the order of the continuations, as a journal holds them.
        item: with its request, and the numbers of the right continuations as gold.

    Returns:
        The score and "", or None and why there is none: a row is missing, or no finite log-probability of one token or
        more; the gold is no number of a continuation.

    Raises:
        UnknownName: there is no such rule.
    """
    function = _rule(LIKELIHOOD_RULES, rule)
    if item.request is None:
        return None, "the item is a question, and has no continuations"
    if fault := _fault(rows, item.request):
        return None, fault
    numbers = {str(number): number for number in range(len(rows))}
    right = {numbers[gold] for gold in item.gold if gold in numbers}
    if not right or len(right) != len(set(item.gold)):
        return None, f"the gold {list(item.gold)} is not among the continuations 0 to {len(rows) - 1}"
    likelihoods = [Likelihood(logprob=row[0], tokens=row[1], greedy=row[2]) for row in rows]
    return function(item.request.continuations, likelihoods, right), ""


def _fault(rows: Sequence[Any], request: Score) -> str:
    """What is wrong with likelihoods. The greatest of some NaN is whichever stands first, often the right one."""
    wanted = len(request.continuations)
    if len(rows) != wanted or not wanted:
        return f"{len(rows)} likelihoods for {wanted} continuations"
    for number, row in enumerate(rows):
        if why := _row_fault(row):
            return f"continuation {number}: {why}"
    return ""


def _row_fault(row: Any) -> str:
    if not isinstance(row, list | tuple) or len(row) != 3:  # noqa: PLR2004  # log-probability, tokens, greedy
        return "it has no likelihood"
    logprob, tokens, written = row
    if type(tokens) is not int or not 0 < tokens < _MOST_TOKENS:
        return f"it has {tokens!r} tokens, and without one or more there is nothing to compare"
    if type(logprob) not in {float, int} or not abs(logprob) <= sys.float_info.max:
        return f"its log-probability is {logprob!r}"
    if logprob > tokens * _ROUNDING:
        return f"its log-probability is {logprob}, and that of a certainty is 0"
    return "" if type(written) is bool else f"whether greedy decoding writes it is {written!r}"


# --- what it is worth --------------------------------------------------------------------------


def marked(
    disposition: Disposition, score: float | None, metrics: Sequence[Metric]
) -> tuple[dict[str, float | None], Mark]:
    """An item's score under every metric, and its mark.

    An answered item has its score; any other is worth what the metric declared beforehand, or nothing at all. The mark
    follows the first metric. Only full credit is a pass: what was half right, or right among ties, was not right, and
    a gate that counts passes must not round up. Of a rate of harm, full credit is 0.

    Args:
        disposition: what became of the item.
        score: of the answer, by a rule; counts only where the item was answered.
        metrics: of the benchmark, in its order.
    """
    scores = {metric.name: _worth(disposition, score, metric) for metric in metrics}
    first = scores[metrics[0].name]
    if first is None:
        return scores, Mark.UNSCORED
    return scores, Mark.PASS if first == (0.0 if metrics[0].lower_is_better else 1.0) else Mark.FAIL


def unscored_reason(disposition: Disposition, score: float | None, metrics: Sequence[Metric]) -> str:
    """Why the mark is UNSCORED, where nothing else says it; "" where it is not."""
    if _worth(disposition, score, metrics[0]) is not None:
        return ""
    if disposition is Disposition.ANSWERED:
        return "the answer was read, but not scored: the item's gold is missing or cannot be read in its form"
    return f"metric {metrics[0].name!r} gives no credit to an item that is {disposition.value}"


def _worth(disposition: Disposition, score: float | None, metric: Metric) -> float | None:
    return score if disposition is Disposition.ANSWERED else metric.credit.get(disposition)


def _rule(rules: Mapping[str, R], name: str) -> R:
    if name not in rules:
        raise UnknownName("scoring rule", name, rules)
    return rules[name]
