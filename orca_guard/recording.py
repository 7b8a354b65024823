"""What the journal says of one item under one arm or model: digests, numbers and outcomes; texts by address only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from orca_guard.case import Case
from orca_guard.identity import canonical
from orca_guard.items import Disposition, Item, Metric, disposition_of, item_digest, item_json
from orca_guard.rows import verdict_row
from orca_guard.scoring import marked, score_likelihoods, score_value
from orca_guard.types import Answer, Failure, Pass, Scores, Segment

Address = Callable[[str], str]
"""Keeps a text and returns where it can be found again."""


def question_record(
    item: Item, answer: Answer, case: Case, *, scoring: str, metrics: Sequence[Metric], address: Address
) -> dict[str, Any]:
    """An item that went through the pipeline, with everything the model wrote, let through or not."""
    disposition = disposition_of(answer)
    score = score_value(scoring, answer.value, item) if disposition is Disposition.ANSWERED else None
    return {
        "passes": [_pass(step, address) for step in case.passes],
        "answer": _segment(answer.segment, address) if answer.segment else None,
        "likelihoods": None,
        "action": answer.action.value,
        "strategy": answer.strategy,
        "outcome": answer.outcome.value if answer.outcome else None,
        "value": None if answer.value is None else address(answer.value),
        "verdicts": [{k: v for k, v in verdict_row(verdict).items() if k != "ms"} for verdict in answer.verdicts],
        "tokens": list(answer.tokens),
        "seconds": round(answer.seconds, 4),
        **_result(item, disposition, score, metrics, answer.error or answer.reason, address),
    }


def score_record(
    item: Item, reply: Scores | Failure, *, scoring: str, metrics: Sequence[Metric], address: Address
) -> dict[str, Any]:
    """Log-likelihoods of the model alone."""
    rows = [] if isinstance(reply, Failure) else [[x.logprob, x.tokens, x.greedy] for x in reply.likelihoods]
    score, why = (None, str(reply.error)) if isinstance(reply, Failure) else score_likelihoods(scoring, rows, item)
    disposition = Disposition.ERROR if score is None else Disposition.ANSWERED
    return {
        "passes": [],
        "answer": None,
        "likelihoods": rows or None,
        "action": "error" if score is None else "allow",
        "strategy": "",
        "outcome": None,
        "value": None,
        "verdicts": [],
        "tokens": [0, 0],
        "seconds": 0.0,
        **_result(item, disposition, score, metrics, why, address),
    }


def _result(
    item: Item,
    disposition: Disposition,
    score: float | None,
    metrics: Sequence[Metric],
    reason: str,
    address: Address,
) -> Mapping[str, Any]:
    scores, mark = marked(disposition, score, metrics)
    return {
        "item": item.id,
        "digest": item_digest(item),
        "question": address(item_json(item)),
        "disposition": disposition.value,
        "scores": scores,
        "mark": mark.value,
        "reason": reason,
    }


def _pass(step: Pass, address: Address) -> dict[str, Any]:
    generation = step.generation
    return {
        "name": step.name,
        "strategy": step.strategy,
        "prompt": address(generation.prompt or canonical([asdict(message) for message in step.messages]).decode()),
        "text": address(generation.text),
        "finish": generation.finish,
        "tokens": [generation.prompt_tokens, generation.new_tokens],
    }


def _segment(segment: Segment, address: Address) -> dict[str, Any]:
    return {
        "text": address(segment.text),
        "segment": None if segment.answer is None else address(segment.answer),
        "finish": segment.finish,
    }
