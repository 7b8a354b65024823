"""Batched generation: left-padded rows, each with its own limits, stops, seed and deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from orca_guard.types import Failure, Generate, Generation, Partial
from orca_guard_hf.growing import Limits, Row, choose, ending, look, prepare, reply_of, take
from orca_guard_hf.network import Network
from orca_guard_hf.prompting import Prompter


def generate(
    requests: Sequence[Generate], *, network: Network, prompter: Prompter, limits: Limits
) -> Iterator[tuple[Generate, Generation | Failure | Partial]]:
    """Answer the requests as one batch; partial replies come while it runs."""
    rows: list[Row] = []
    for request in requests:
        with network.lock:
            row = prepare(request, prompter, limits)
        if isinstance(row, Failure):
            yield request, row
        else:
            rows.append(row)
    if rows:
        yield from _grow(rows, network, prompter, limits)


def _grow(
    rows: Sequence[Row], network: Network, prompter: Prompter, limits: Limits
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
                reply = reply_of(row, prompter, time.monotonic() - started) if row.over else look(row, prompter)
            if reply is not None:
                yield row.request, reply
        going = [row for row in going if not row.over]


def _step(rows: Sequence[Row], steps: _Steps, network: Network, prompter: Prompter, stop_ids: frozenset[int]) -> None:
    """One more token for every row that is not over."""
    logits = steps.logits()
    for row, chosen in zip(rows, choose(rows, logits), strict=True):
        if not row.over:
            take(row, chosen, stop_ids)
    with network.lock:
        for row in rows:
            row.finish = row.finish or ending(row, prompter)
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
