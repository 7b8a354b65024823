"""Log-likelihood of continuations, and embeddings: one plain forward over right-padded rows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from orca_guard.errors import BadInput, ModelFailed, PromptTooLong
from orca_guard.types import Embed, Embedding, Likelihood, Score, Scores
from orca_guard_hf.network import Network
from orca_guard_hf.prompting import Prompter, Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """Each continuation encoded together with its context, and where scoring starts."""

    rows: tuple[tuple[int, ...], ...]
    boundary: int


def score(request: Score, *, network: Network, prompter: Prompter, context: int | None, batch_size: int) -> Scores:
    """Natural log-probability of every continuation, in single precision.

    Raises:
        BadInput: nothing to score, or a continuation without a token of its own.
        PromptTooLong: a row does not fit the model.
        ModelFailed: the network gave no numbers.
    """
    with network.lock:
        joint = fitted(request, prompter, context)
    parts = [joint.rows[i : i + batch_size] for i in range(0, len(joint.rows), batch_size)]
    return Scores(
        likelihoods=tuple(one for part in parts for one in _likelihoods(part, joint.boundary, network, prompter))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelt:
    """What is written before each continuation, and with it.

    Attributes:
        alone: before them.
        joint: with each, in their order.
        raw: whether it is no conversation.
    """

    alone: Rendered
    joint: tuple[Rendered, ...]
    raw: bool


def spelt(request: Score, prompter: Prompter) -> Spelt:
    """The texts of a request. Raises `BadInput` where there is nothing to score, or no such conversation."""
    if not request.continuations or not all(request.continuations):
        raise BadInput("there is an empty continuation, or none at all. Give at least one character to score.")
    raw = not request.messages
    before = prompter.plain(request.context) if raw else prompter.opened(request.messages)
    return Spelt(alone=before, joint=tuple(before + prompter.plain(c) for c in request.continuations), raw=raw)


def fitted(request: Score, prompter: Prompter, context: int | None) -> Joint:
    """The rows of a request. Raises `BadInput` as `encode_jointly` does, `PromptTooLong` if one does not fit."""
    return fitting(encode_jointly(request, prompter), context)


def fitting(joint: Joint, context: int | None) -> Joint:
    """The same rows. Raises `PromptTooLong` if one does not fit."""
    for row in joint.rows:
        check_length(len(row), context)
    return joint


def encode_jointly(request: Score, prompter: Prompter) -> Joint:
    """Encode context and continuation together; score from where the first of them leaves the context's tokens.

    The boundary is the longest token prefix that the context alone and all joint encodings share. When a token spans
    the join, the last characters of the context are thus scored too, and for every continuation alike.
    """
    return joined(spelt(request, prompter), prompter)


def joined(texts: Spelt, prompter: Prompter) -> Joint:
    """The tokens of a request's texts. Raises `BadInput` where a continuation has none of its own."""
    alone = prompter.prompt(texts.alone, raw=texts.raw).ids
    rows = tuple(prompter.prompt(text, raw=texts.raw).ids for text in texts.joint)
    shared = _common(alone, *rows)
    if not shared:
        rows, shared = _anchored(rows, prompter), 1
    boundary = min(shared, min(map(len, rows)) - 1)
    if boundary < 1:
        raise BadInput("a continuation leaves nothing to condition on. Put some text before it.")
    return Joint(rows=rows, boundary=boundary)


def embed(request: Embed, *, network: Network, prompter: Prompter, context: int | None, batch_size: int) -> Embedding:
    """Mean of the last hidden states over each text's own tokens, the one that starts every text left out.

    Raises:
        BadInput: an empty text.
        PromptTooLong: a text does not fit the model.
    """
    with network.lock:
        rows = [prompter.prompt(prompter.plain(text), raw=True).ids for text in request.texts]
    for row in rows:
        if not set(row) - {prompter.bos}:
            raise BadInput("there is an empty text to embed. Give at least one character.")
        check_length(len(row), context)
    parts = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return Embedding(vectors=tuple(vector for part in parts for vector in _vectors(part, network, prompter)))


def check_length(tokens: int, context: int | None) -> None:
    """Raise `PromptTooLong` if so many tokens do not fit."""
    if context is not None and tokens > context:
        raise PromptTooLong(prompt=tokens, answer=0, context=context)


def _anchored(rows: Sequence[tuple[int, ...]], prompter: Prompter) -> tuple[tuple[int, ...], ...]:
    """With the token that starts (or else ends) texts in front, so that the first token too can be scored."""
    start = prompter.bos if prompter.bos is not None else prompter.tokenizer.eos_token_id
    if start is None:
        raise BadInput("a continuation has nothing before it, and the tokenizer no token that starts a text.")
    return tuple((start, *row) for row in rows)


def _common(*rows: tuple[int, ...]) -> int:
    """How long a beginning all of them share: the first and the last in order share no more than the others do."""
    first, last = min(rows), max(rows)
    length = min(len(first), len(last))
    return bisect_left(range(length), 1, key=lambda n: first[: n + 1] != last[: n + 1])


def _likelihoods(
    rows: Sequence[tuple[int, ...]], boundary: int, network: Network, prompter: Prompter
) -> Iterator[Likelihood]:
    ids, mask = network.rows(rows, pad=prompter.pad, side="right")
    kept = ids.shape[1] - boundary + 1
    logits = network.forward(ids, mask, keep=kept).logits[:, -kept:-1]
    for row, scores in zip(rows, logits, strict=True):
        yield _likelihood(row[boundary:], scores[: len(row) - boundary])


def _likelihood(tokens: Sequence[int], logits: Tensor) -> Likelihood:
    table = torch.log_softmax(logits.float(), -1)
    wanted = torch.tensor(tokens, device=table.device)
    total = float(table.gather(-1, wanted[:, None]).sum())
    if total != total:  # noqa: PLR0124  # the test for what is not a number
        raise ModelFailed("the model's output is not a number. Its weights may be damaged, or need --dtype float32.")
    return Likelihood(logprob=total, tokens=len(tokens), greedy=bool((table.argmax(-1) == wanted).all()))


def _vectors(rows: Sequence[tuple[int, ...]], network: Network, prompter: Prompter) -> Iterator[tuple[float, ...]]:
    ids, mask = network.rows(rows, pad=prompter.pad, side="right")
    states = network.forward(ids, mask, keep=1, output_hidden_states=True).hidden_states[-1].float()
    for row, state in zip(rows, states, strict=True):
        own = state[int(row[0] == prompter.bos) : len(row)]
        yield tuple(own.mean(0).tolist())
