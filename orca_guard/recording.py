"""What the journal says of one item under one arm or model: digests, numbers and outcomes; texts by address only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from orca_guard.case import Case
from orca_guard.identity import canonical
from orca_guard.items import Disposition, Item, Worth, disposition_of, item_digest, item_json
from orca_guard.judging.asking import Heard
from orca_guard.rows import verdict_row
from orca_guard.scoring import Rules, marked, unscored_reason
from orca_guard.types import Answer, Failure, Likelihood, Pass, Scores, Segment

Address = Callable[[str], str]
"""Keeps a text and returns where it can be found again."""


def question_record(
    item: Item, answer: Answer, case: Case, *, rules: Rules, address: Address, heard: Sequence[Heard] = ()
) -> dict[str, Any]:
    """An item that went through the pipeline, with everything the model wrote, let through or not, and its judges."""
    disposition = disposition_of(answer)
    opinions = [one.opinion for one in heard]
    scores = rules.of_value(answer.value, item, opinions) if disposition is Disposition.ANSWERED else {}
    return {
        **_asked(item, address),
        "passes": [_pass(step, address) for step in case.passes],
        "answer": _segment(answer.segment, address) if answer.segment else None,
        "likelihoods": None,
        "attempts": [attempt.action.value for attempt in case.attempts],
        "action": answer.action.value,
        "strategy": answer.strategy,
        "outcome": answer.outcome.value if answer.outcome else None,
        "value": None if answer.value is None else address(answer.value),
        "verdicts": [{k: v for k, v in verdict_row(verdict).items() if k != "ms"} for verdict in answer.verdicts],
        **({"judged": [_heard(one, address) for one in heard]} if heard else {}),
        **_cached(sum(step.generation.cached for step in case.passes)),
        "tokens": list(answer.tokens),
        **_sureness(case.passes),
        "seconds": round(answer.seconds, 4),
        **_result(disposition, scores, rules, answer.error or answer.reason),
    }


def score_record(item: Item, reply: Scores | Failure, *, rules: Rules, address: Address) -> dict[str, Any]:
    """Log-likelihoods of the model alone."""
    rows = [] if isinstance(reply, Failure) else [_row(likelihood) for likelihood in reply.likelihoods]
    scores, why = rules.of_likelihoods(rows, item)
    if isinstance(reply, Failure):
        why = str(reply.error)
    disposition = Disposition.ERROR if rules.first(scores) is None else Disposition.ANSWERED
    return {
        **_asked(item, address),
        "passes": [],
        "answer": None,
        "likelihoods": rows or None,
        "attempts": [],
        "action": "error" if disposition is Disposition.ERROR else "allow",
        "strategy": "",
        "outcome": None,
        "value": None,
        "verdicts": [],
        **_cached(int(isinstance(reply, Scores) and reply.cached)),
        "tokens": [0, 0],
        "seconds": 0.0,
        **_result(disposition, scores, rules, why),
    }


def _sureness(passes: Sequence[Pass]) -> dict[str, Any]:
    """Mean log-probability and entropy of every pass, where the model told them of any."""
    told = [(step.generation.logprob, step.generation.entropy) for step in passes]
    pairs = [None if None in pair else [round(number, 4) for number in pair if number is not None] for pair in told]
    return {"sureness": pairs} if any(pairs) else {}


def _cached(count: int) -> dict[str, int]:
    """A mark on records that rest on answers of earlier runs; all others are as they would be without a cache."""
    return {"cached": count} if count else {}


def _asked(item: Item, address: Address) -> dict[str, Any]:
    return {"item": item.id, "digest": item_digest(item), "question": address(item_json(item))}


def _result(disposition: Disposition, scores: Mapping[str, Worth], rules: Rules, reason: str) -> dict[str, Any]:
    worth, mark = marked(disposition, scores, rules.metrics)
    why = reason or unscored_reason(disposition, scores, rules.metrics)
    return {"disposition": disposition.value, "scores": worth, "mark": mark.value, "reason": why}


def _row(likelihood: Likelihood) -> list[Any]:
    """JSON has no word for what is no finite number, and such a row is not scored."""
    return [likelihood.logprob if math.isfinite(likelihood.logprob) else None, likelihood.tokens, likelihood.greedy]


def _heard(one: Heard, address: Address) -> dict[str, Any]:
    return {
        "judge": one.judge,
        "of": one.of,
        "asked": address(one.asked),
        "said": address(one.said),
        "raw": one.raw,
        "score": one.score,
        "why": one.why,
        "tokens": list(one.tokens),
    }


def _pass(step: Pass, address: Address) -> dict[str, Any]:
    generation = step.generation
    return {
        "name": step.name,
        "strategy": step.strategy,
        "prompt": address(generation.prompt or canonical([asdict(message) for message in step.messages]).decode()),
        "text": address(generation.text),
        "ids": None if generation.ids is None else address(canonical(generation.ids).decode()),
        "finish": generation.finish,
        "tokens": [generation.prompt_tokens, generation.new_tokens],
    }


def _segment(segment: Segment, address: Address) -> dict[str, Any]:
    return {
        "text": address(segment.text),
        "segment": None if segment.answer is None else address(segment.answer),
        "finish": segment.finish,
    }
