"""A recorded question gone through again: strategies and guards work anew, the model follows recorded tokens."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from orca_guard.case import Case
from orca_guard.types import Answer, Finish, Generate, Generation, Replies, Reply, Request, Requests, Retrace, Retraced


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One recorded generation, with its texts.

    Attributes:
        name: of the pass.
        prompt: as it was rendered.
        text: what was written.
        ids: the tokens of that.
        finish: how it ended.
        tokens: of prompt and text.
    """

    name: str
    prompt: str
    text: str
    ids: tuple[int, ...]
    finish: Finish
    tokens: tuple[int, int]


@dataclass(slots=True, kw_only=True)
class Followed:
    """What came of a question that was gone through again.

    Attributes:
        trails: recorded generations with what the model makes of them, in order.
        answer: what the pipeline makes of them; None where it did not get that far.
        why: why not.
    """

    trails: list[tuple[Step, Retrace, Retraced]] = field(default_factory=list)
    answer: Answer | None = None
    why: str = ""


def followed(case: Case, steps: Sequence[Step]) -> Generator[Requests, Replies, Followed]:
    """Solve a case, with every generation of a strategy replaced by the recorded one, which the model follows.

    What guards ask is asked as ever. A recorded generation that cannot be followed ends the case.

    Args:
        case: of the item's question.
        steps: its recorded generations.
    """
    found, left = Followed(), list(steps)
    solving = case.solve()
    advance: Callable[[], Requests] = partial(next, solving)
    while True:
        try:
            asked = advance()
        except StopIteration as end:
            found.answer = end.value
            found.why = f"{len(left)} more generations are recorded than the pipeline asks for" if left else ""
            return found
        requests = asked if isinstance(asked, tuple) else (asked,)
        asking = [request for request in requests if isinstance(request, Generate) and not case.examining]
        if len(asking) > len(left):
            found.why = "the pipeline asks for more generations than are recorded"
            return found
        taken = {id(request): left.pop(0) for request in asking}
        try:
            replies = yield tuple(_following(request, taken) for request in requests)
        except Exception as error:  # noqa: BLE001  # of a recorded generation it is a finding; of a guard, the guard's
            if taken:
                found.why = f"its tokens cannot be followed: {error}"
                return found
            advance = partial(solving.throw, error)
            continue
        assert isinstance(replies, tuple), "a tuple was asked"
        sent = tuple(_sent(*pair, taken, found) for pair in zip(requests, replies, strict=True))
        advance = partial(solving.send, sent if isinstance(asked, tuple) else sent[0])


def _following(request: Request, taken: Mapping[int, Step]) -> Request:
    if not isinstance(request, Generate) or id(request) not in taken:
        return request
    return Retrace(request=replace(request, stream=False), ids=taken[id(request)].ids, target=request.target)


def _sent(request: Request, reply: Reply, taken: Mapping[int, Step], found: Followed) -> Any:
    """What the case is sent: the recorded generation, where the model followed one."""
    if not isinstance(request, Generate) or not isinstance(reply, Retraced):
        return reply
    step = taken[id(request)]
    found.trails.append((step, Retrace(request=request, ids=step.ids, target=request.target), reply))
    return Generation(
        text=step.text,
        finish=step.finish,
        prompt=reply.prompt,
        prompt_tokens=step.tokens[0],
        new_tokens=step.tokens[1],
        ids=step.ids,
    )


def broken_trail(step: Step, trail: Retraced, *, noise: float) -> str:
    """Why these tokens are not what the model writes by always taking the best; empty where they are.

    Args:
        step: as it is recorded.
        trail: what the model makes of it.
        noise: how far a token may lie below the best, in nats.
    """
    low = next((n for n, shortfall in enumerate(trail.shortfalls) if not shortfall <= noise), None)
    far = 0.0 if low is None else trail.shortfalls[low]
    goes_on = trail.finish is None and not trail.end <= noise
    rules = (
        (trail.prompt != step.prompt, "its prompt is not the one that the item leads to"),
        (trail.text != step.text, "its tokens do not say its text"),
        (low is not None, f"token {low} lies {far:.3g} below the best, and noise goes to {noise:.2g}"),
        (step.finish == "stop" and goes_on, f"it ends where the model goes on, by {trail.end:.3g}"),
        (trail.finish not in {None, step.finish}, f"it is said to end by {step.finish}, and ends by {trail.finish}"),
        (step.finish == "length" and trail.finish is None, f"it is said to end at a limit that is not {len(step.ids)}"),
    )
    return next((f"pass {step.name!r}: {why}" for wrong, why in rules if wrong), "")
