"""Batched generation: left-padded rows, each with its own limits, stops, seed and deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from orca_guard.errors import BadInput, ModelFailed, OrcaGuardError, PromptTooLong
from orca_guard.types import Failure, Finish, Generate, Generation, Partial
from orca_guard_hf.network import Network
from orca_guard_hf.prompting import Prompt, Prompter
from orca_guard_hf.sampling import Sampler, check_decoding, sampler_for

_UNFINISHED = "\ufffd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends every answer of this model: stop ids, and the tokens it can hold."""

    stop_ids: frozenset[int]
    context: int | None


@dataclass(slots=True, kw_only=True)
class _Row:
    """One answer while it grows."""

    request: Generate
    prompt: Prompt
    limit: int
    stops: tuple[str, ...]
    sampler: Sampler | None
    ids: list[int] = field(default_factory=list)
    finish: Finish | None = None
    error: OrcaGuardError | None = None
    shown: str = ""

    @property
    def over(self) -> bool:
        return self.finish is not None or self.error is not None

    @property
    def late(self) -> bool:
        return self.request.deadline is not None and time.monotonic() >= self.request.deadline


def generate(
    requests: Sequence[Generate], *, network: Network, prompter: Prompter, limits: Limits
) -> Iterator[tuple[Generate, Generation | Failure | Partial]]:
    """Answer the requests as one batch; partial replies come while it runs."""
    rows: list[_Row] = []
    for request in requests:
        with network.lock:
            row = _prepare(request, prompter, limits)
        if isinstance(row, Failure):
            yield request, row
        else:
            rows.append(row)
    if rows:
        yield from _grow(rows, network, prompter, limits)


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
    prompt = prompter.prompt(prompter.chat(request.messages))
    if limits.context is not None and len(prompt.ids) + limit > limits.context:
        raise PromptTooLong(prompt=len(prompt.ids), answer=limit, context=limits.context)
    return prompt, limit


def _prepare(request: Generate, prompter: Prompter, limits: Limits) -> _Row | Failure:
    """A row, or why there is none."""
    try:
        prompt, limit = fitted(request, prompter, limits)
    except OrcaGuardError as error:
        return Failure(error)
    sampler = sampler_for(request.decoding, seed=request.seed)
    return _Row(request=request, prompt=prompt, limit=limit, stops=stops_of(request, prompter), sampler=sampler)


def stops_of(request: Generate, prompter: Prompter) -> tuple[str, ...]:
    """The strings that end an answer to it."""
    return tuple(filter(None, (*request.stop, *request.decoding.stop, *prompter.profile.stop_strings)))


def written(ids: Sequence[int], stops: Sequence[str], finish: Finish | None, prompter: Prompter) -> tuple[str, Finish]:
    """The text of generated ids up to the first stop string, and how it ended, which a stop string overrules."""
    text = prompter.decode(ids)
    found = [at for at in map(text.find, stops) if at >= 0]
    if found:
        return text[: min(found)], "stop"
    ending = finish or "stop"
    return text if ending == "stop" else text.rstrip(_UNFINISHED), ending


def _grow(
    rows: Sequence[_Row], network: Network, prompter: Prompter, limits: Limits
) -> Iterator[tuple[Generate, Generation | Failure | Partial]]:
    """Add a token to every row that is not over, until all are; a row's reply comes as soon as it is."""
    started = time.monotonic()
    steps = _Steps(network, [row.prompt.ids for row in rows], pad=prompter.pad)
    going = list(rows)
    for row in rows:
        row.finish = "deadline" if row.late else None
    while going:
        if not all(row.over for row in going):
            _step(rows, steps, network, prompter, limits.stop_ids)
        for row in going:
            with network.lock:
                reply = _reply(row, prompter, time.monotonic() - started) if row.over else _look(row, prompter)
            if reply is not None:
                yield row.request, reply
        going = [row for row in going if not row.over]


def _step(rows: Sequence[_Row], steps: _Steps, network: Network, prompter: Prompter, stop_ids: frozenset[int]) -> None:
    """One more token for every row that is not over."""
    for row, token in zip(rows, _choose(rows, steps.logits()), strict=True):
        if not row.over:
            _take(row, token, stop_ids)
    with network.lock:
        for row in rows:
            row.finish = row.finish or _ending(row, prompter)
    steps.add([row.ids[-1] if row.ids else prompter.pad for row in rows])


class _Steps:
    """The batch as the network sees it, one token longer with every step."""

    def __init__(self, network: Network, texts: Sequence[Sequence[int]], *, pad: int) -> None:
        self._network = network
        self._ids, self._mask = network.rows(texts, pad=pad, side="left")
        self._past: object = None

    def logits(self) -> Tensor:
        """For the next token of every row, (rows, vocabulary)."""
        if not self._network.remembers:
            return self._one_by_one()
        out = self._network.forward(self._ids, self._mask, past=self._past, keep=1)
        self._past = getattr(out, "past_key_values", None)
        if self._past is None:  # it takes them, but gives none back
            self._network.remembers = False
            return self._one_by_one()
        return out.logits[:, -1].float()  # type: ignore[no-any-return]

    def add(self, tokens: Sequence[int]) -> None:
        """Append one token a row."""
        new = torch.tensor(tokens, device=self._ids.device)[:, None]
        self._ids = new if self._network.remembers else torch.cat([self._ids, new], -1)
        self._mask = torch.cat([self._mask, torch.ones_like(new)], -1)

    def _one_by_one(self) -> Tensor:
        """Networks without a cache of keys and values are not trusted with padding either."""
        rows = [ids[mask.bool()][None] for ids, mask in zip(self._ids, self._mask, strict=True)]
        outs = [self._network.forward(row, torch.ones_like(row), keep=1).logits[:, -1] for row in rows]
        return torch.cat(outs).float()


def _choose(rows: Sequence[_Row], logits: Tensor) -> list[int | None]:
    """The next token of each row; None where the logits are no numbers."""
    broken = (~logits.amax(-1).isfinite()).tolist()
    greedy = logits.argmax(-1).tolist()
    chosen: list[int | None] = []
    for row, bad, best, scores in zip(rows, broken, greedy, logits, strict=True):
        if bad or row.over or row.sampler is None:
            chosen.append(None if bad else best)
        else:
            chosen.append(row.sampler.draw(scores))
    return chosen


def _take(row: _Row, token: int | None, stop_ids: frozenset[int]) -> None:
    if token is None:
        row.error = ModelFailed(
            f"the model's output after {len(row.ids)} tokens is not a number. "
            "Its weights may be damaged, or need another dtype: try --dtype float32."
        )
    elif token in stop_ids:
        row.finish = "stop"
    else:
        row.ids.append(token)


def _ending(row: _Row, prompter: Prompter) -> Finish | None:
    """Why the row ends here, if it does."""
    if row.error is not None:
        return None
    if row.stops and any(stop in prompter.decode(row.ids) for stop in row.stops):
        return "stop"
    if len(row.ids) >= row.limit:
        return "length"
    return "deadline" if row.late else None


def _look(row: _Row, prompter: Prompter) -> Partial | None:
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


def _reply(row: _Row, prompter: Prompter, seconds: float) -> Generation | Failure:
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
    )
