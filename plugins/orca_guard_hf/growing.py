"""One answer while it grows: its prompt and limits, the next token, why it ends, and what may be shown of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orca_guard.errors import BadInput, ModelFailed, OrcaGuardError, PromptTooLong
from orca_guard.types import Failure, Finish, Generate, Generation, Partial
from orca_guard_hf.prompting import Prompt, Prompter
from orca_guard_hf.sampling import LOG2E, Sampler, check_decoding, first_of_likeliest, sampler_for
from orca_guard_hf.transfer import fetched

_UNFINISHED = "\ufffd"
_NEVER = -1e4
"""Below the likeliest, in nats: nothing is left of it, and nothing times it is nothing."""
_ROWS_CPU = 8
"""Rows of logits looked at together: few enough to stay in a processor's cache."""
_LN2 = math.log(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends every answer of this model: stop ids, and the tokens it can hold."""

    stop_ids: frozenset[int]
    context: int | None


@dataclass(slots=True, kw_only=True)
class Row:
    """One answer while it grows."""

    request: Generate
    prompt: Prompt
    limit: int
    stops: tuple[str, ...]
    sampler: Sampler | None
    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0
    entropy: float = 0.0
    finish: Finish | None = None
    error: OrcaGuardError | None = None
    shown: str = ""

    @property
    def over(self) -> bool:
        """Whether it has its reply."""
        return self.finish is not None or self.error is not None

    @property
    def late(self) -> bool:
        """Whether its time is up."""
        return self.request.deadline is not None and time.monotonic() >= self.request.deadline


def fitted(request: Generate, prompter: Prompter, limits: Limits) -> tuple[Prompt, int]:
    """The prompt of a request, and how many tokens its answer may have.

    Raises:
        BadInput: a setting or a conversation that makes no sense.
        PromptTooLong: prompt and answer do not fit the model.
    """
    wished = (request.decoding.max_new_tokens, request.max_new_tokens)
    limit = min(tokens for tokens in wished if tokens is not None)
    if limit < 1:
        raise BadInput(f"max_new_tokens is {limit}. Ask for at least one token.")
    check_decoding(request.decoding)
    if not request.messages:
        raise BadInput("the conversation has no turn. Ask something.")
    if request.raw:
        prompt = prompter.prompt(prompter.plain(request.messages[-1].content), raw=True)
    else:
        prompt = prompter.prompt(prompter.chat(request.messages))
    if limits.context is not None and len(prompt.ids) + limit > limits.context:
        raise PromptTooLong(prompt=len(prompt.ids), answer=limit, context=limits.context)
    return prompt, limit


def prepare(request: Generate, prompter: Prompter, limits: Limits) -> Row | Failure:
    """A row, or why there is none."""
    try:
        prompt, limit = fitted(request, prompter, limits)
    except OrcaGuardError as error:
        return Failure(error)
    sampler = sampler_for(request.decoding, seed=request.seed)
    return Row(request=request, prompt=prompt, limit=limit, stops=stops_of(request, prompter), sampler=sampler)


def stops_of(request: Generate, prompter: Prompter) -> tuple[str, ...]:
    """The strings that end an answer to it."""
    return tuple(filter(None, (*request.stop, *request.decoding.stop, *prompter.profile.stop_strings)))


def written(ids: Sequence[int], stops: Sequence[str], finish: Finish | None, prompter: Prompter) -> tuple[str, Finish]:
    """The text of generated ids up to the first stop string, and how it ended, which a stop string overrules."""
    text = prompter.decode(ids)
    found = [at for at in map(text.find, stops) if at >= 0]
    if found:
        return text[: min(found)], "stop"
    finish = finish or "stop"
    return text if finish == "stop" else text.rstrip(_UNFINISHED), finish


@dataclass(frozen=True, slots=True)
class Likeliest:
    """The likeliest token of some rows of logits, on the device where it was computed, and on its way here.

    Attributes:
        ids: (rows,).
        told: those, their logits, the log of all exponentials' sum, and the entropy in nats, (4, rows), once here.
    """

    ids: Tensor
    told: Callable[[], NDArray[np.float64]]


@torch.inference_mode()
def likeliest(logits: Tensor) -> Likeliest:
    """The likeliest token of each row, (rows, vocabulary), and what the model's own chances are like."""
    size = _ROWS_CPU if logits.device.type == "cpu" else len(logits)
    table = torch.cat([_told(some.float()) for some in torch.split(logits, size)], 1)
    return Likeliest(table[0].long(), fetched(table))


def _told(logits: Tensor) -> Tensor:
    """Of each row: the likeliest token, its logit, the log of all exponentials' sum, and the entropy; (4, rows)."""
    ids = first_of_likeliest(logits)
    top = logits.gather(-1, ids[:, None])
    below = (logits - top).clamp_(min=_NEVER).mul_(LOG2E)
    chances = below.exp2()
    total = chances.sum(-1)
    entropy = total.log() - _LN2 * torch.linalg.vecdot(chances, below) / total
    rows = (ids, top[:, 0], top[:, 0] + total.log(), entropy)
    return torch.stack([row.double() for row in rows])


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row's next token.

    Attributes:
        token: None where the logits are no numbers.
        logprob: of it, in nats, before temperature and cuts: what the model says, and not what was made of it.
        entropy: of what it was chosen from, likewise.
    """

    token: int | None
    logprob: float
    entropy: float


def choose(rows: Sequence[Row], logits: Tensor, best: Likeliest | None = None) -> list[Chosen]:
    """The next token of each row."""
    chosen = []
    for row, scores, (token, top, total, entropy) in zip(
        rows, logits, (best or likeliest(logits)).told().T.tolist(), strict=True
    ):
        if not math.isfinite(top):
            chosen.append(Chosen(None, math.nan, math.nan))
        elif row.over or row.sampler is None:
            chosen.append(Chosen(int(token), top - total, entropy))
        else:
            drawn = row.sampler.draw(scores)
            chosen.append(Chosen(drawn, float(scores[drawn]) - total, entropy))
    return chosen


def take(row: Row, chosen: Chosen, stop_ids: frozenset[int]) -> None:
    """Add a token to a row, or end it by one that ends answers, or by one that could not be chosen."""
    if chosen.token is None:
        row.error = ModelFailed(
            f"the model's output after {len(row.ids)} tokens is not a number. "
            "Its weights may be damaged, or need another dtype: try --dtype float32."
        )
    elif chosen.token in stop_ids:
        row.finish = "stop"
    else:
        row.ids.append(chosen.token)
        row.logprob += chosen.logprob
        row.entropy += chosen.entropy


def ending(row: Row, prompter: Prompter) -> Finish | None:
    """Why the row ends here, if it does."""
    if row.error is not None:
        return None
    if row.stops and any(stop in prompter.decode(row.ids) for stop in row.stops):
        return "stop"
    if len(row.ids) >= row.limit:
        return "length"
    return "deadline" if row.late else None


def look(row: Row, prompter: Prompter) -> Partial | None:
    """What may be shown now, if that is wanted and has grown."""
    if not row.request.stream:
        return None
    safe = _hold_back(prompter.decode(row.ids), row.stops)
    if len(safe) <= len(row.shown) or not safe.startswith(row.shown):
        return None
    row.shown = safe
    return Partial(text=safe, prompt_tokens=len(row.prompt.ids), new_tokens=len(row.ids))


def _hold_back(text: str, stops: Sequence[str]) -> str:
    """Without a character that is not finished, and without what may become a stop string."""
    text = text.rstrip(_UNFINISHED)
    pending = (n for stop in stops for n in range(min(len(stop), len(text)), 0, -1) if text.endswith(stop[:n]))
    return text[: len(text) - max(pending, default=0)]


def reply_of(row: Row, prompter: Prompter, seconds: float) -> Generation | Failure:
    """What is replied of a row that is over."""
    if row.error is not None:
        return Failure(row.error)
    text, finish = written(row.ids, row.stops, row.finish, prompter)
    return Generation(
        text=text,
        finish=finish,
        prompt=row.prompt.text,
        prompt_tokens=len(row.prompt.ids),
        new_tokens=len(row.ids),
        ids=tuple(row.ids),
        seconds=seconds,
        logprob=row.logprob / len(row.ids) if row.ids else None,
        entropy=row.entropy / len(row.ids) if row.ids else None,
    )
