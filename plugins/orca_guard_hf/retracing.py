"""Follows recorded tokens by one forward over prompt and answer: how likely each was, and how far from the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from orca_guard.errors import BadInput, ModelFailed, OrcaGuardError
from orca_guard.types import Failure, Finish, Retrace, Retraced
from orca_guard_hf.growing import Limits, fitted, stops_of, written
from orca_guard_hf.network import Network, vocabulary_of
from orca_guard_hf.prompting import Prompt, Prompter


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trail:
    """Recorded tokens behind their prompt."""

    request: Retrace
    prompt: Prompt
    text: str
    finish: Finish | None

    @property
    def row(self) -> tuple[int, ...]:
        return (*self.prompt.ids, *self.request.ids)


def retrace(
    requests: Sequence[Retrace], *, network: Network, prompter: Prompter, limits: Limits
) -> Iterator[tuple[Retrace, Retraced | Failure]]:
    """Answer the requests as one batch; a network that is not trusted with padding takes them one by one."""
    trails = []
    for request in requests:
        with network.lock:
            trail = _prepare(request, network, prompter, limits)
        if isinstance(trail, Failure):
            yield request, trail
        else:
            trails.append(trail)
    for batch in [trails] if network.remembers and trails else [[trail] for trail in trails]:
        yield from _follow(batch, network, prompter, limits)


def _prepare(request: Retrace, network: Network, prompter: Prompter, limits: Limits) -> _Trail | Failure:
    try:
        prompt, limit = fitted(request.request, prompter, limits)
        _check(request.ids, limit, vocabulary_of(network.model))
    except OrcaGuardError as error:
        return Failure(error)
    stops = stops_of(request.request, prompter)
    full = len(request.ids) == limit
    text, finish = written(request.ids, stops, "length" if full else "stop", prompter)
    by_string = any(stop in prompter.decode(request.ids) for stop in stops)
    return _Trail(request=request, prompt=prompt, text=text, finish=finish if full or by_string else None)


def _check(ids: Sequence[int], limit: int, vocabulary: int) -> None:
    """Recorded ids come from a file that anybody may have written."""
    if len(ids) > limit:
        raise BadInput(f"{len(ids)} tokens are recorded of an answer that may have {limit}")
    if strange := [token for token in ids if not 0 <= token < vocabulary]:
        raise BadInput(f"token {strange[0]} is recorded, and the model knows those from 0 to {vocabulary - 1}")


def _follow(
    trails: Sequence[_Trail], network: Network, prompter: Prompter, limits: Limits
) -> Iterator[tuple[Retrace, Retraced | Failure]]:
    ids, mask = network.rows([trail.row for trail in trails], pad=prompter.pad, side="right")
    longest = ids.shape[1]
    kept = longest - min(len(trail.prompt.ids) for trail in trails) + 1
    logits = network.forward(ids, mask, keep=kept).logits[:, -kept:]
    for trail, scores in zip(trails, logits, strict=True):
        start = len(trail.prompt.ids) - 1 - (longest - kept)
        yield trail.request, _retraced(trail, scores[start : start + len(trail.request.ids) + 1], limits)


def _retraced(trail: _Trail, logits: Tensor, limits: Limits) -> Retraced | Failure:
    """Of one answer; `logits` are (tokens + 1, vocabulary)."""
    table = torch.log_softmax(logits.float(), -1)
    best = table.amax(-1)
    if not bool(best.isfinite().all()):
        return Failure(ModelFailed("the model's output is not a number. Try --dtype float32."))
    wanted = torch.tensor(trail.request.ids, dtype=torch.long, device=table.device)
    taken = table[:-1].gather(-1, wanted[:, None])[:, 0]
    ends = [i for i in sorted(limits.stop_ids) if i < table.shape[-1]]
    return Retraced(
        prompt=trail.prompt.text,
        text=trail.text,
        finish=trail.finish,
        logprobs=tuple(taken.tolist()),
        shortfalls=tuple((best[:-1] - taken).tolist()),
        end=float(best[-1] - table[-1, ends].amax()) if ends else float("inf"),
    )
