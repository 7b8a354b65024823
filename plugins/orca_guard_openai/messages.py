"""Requests as the JSON that servers take, and what they answer as replies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orca_guard.errors import ModelFailed
from orca_guard.types import Embed, Embedding, Finish, Generate, Generation, Likelihood, Score, Scores
from orca_guard_openai.settings import Settings

_STOP = frozenset({"stop", "eos", "eos_token", "stop_sequence"})  # the later ones are of open servers
_LENGTH = frozenset({"length", "max_tokens", "model_length"})
_NOT_TEXT = frozenset({"tool_calls", "function_call"})
_INSTEAD = ("tool_calls", "function_call", "reasoning_content", "reasoning")
"""What a message may hold where it has no text."""


def chat(request: Generate, model: str, *, limit: str) -> dict[str, Any]:
    """The body for `/chat/completions`.

    Args:
        request: with its decoding.
        model: as the server names it.
        limit: the field for the most tokens, `max_tokens` or `max_completion_tokens`.
    """
    decoding = request.decoding
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        limit: request.max_new_tokens or decoding.max_new_tokens,
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "seed": request.seed & 0x7FFFFFFF,  # what every server can hold
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if decoding.top_k:
        body["top_k"] = decoding.top_k  # no field of OpenAI's own; the open servers take it
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


@dataclass(slots=True)
class Heard:
    """A generation as far as the server has told it."""

    settings: Settings
    reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    _said: str = field(default="", repr=False)  # may hold the key
    _spoke: bool = False

    def text(self, *, growing: bool = False) -> str:
        """What people may see of the text; while it is growing, without an end that may become something else."""
        half = growing and "\ud800" <= self._said[-1:] <= "\udbff"
        return self.settings.key.cover(whole(self._said[:-1] if half else self._said), growing=growing)

    def hear(self, value: Mapping[str, Any]) -> None:
        """Take up a whole answer or one event of a stream.

        Raises:
            ModelFailed: it has another shape.
        """
        if isinstance(value.get("usage"), dict):
            self.usage = value["usage"]
        if isinstance(value.get("system_fingerprint"), str):
            self.fingerprint = self.settings.key.cover(whole(value["system_fingerprint"]))
        choices = value.get("choices")
        for choice in choices[:1] if isinstance(choices, list) else ():
            try:
                self._take(choice)
            except (AttributeError, TypeError):
                raise self._misshapen("its choice is no message whose content and finish_reason are texts") from None

    def _take(self, choice: Mapping[str, Any]) -> None:
        """Take up a choice. What is of another shape raises as Python does."""
        message, delta, reason = choice.get("message"), choice.get("delta"), choice.get("finish_reason")
        self._said += _text(message or delta or {})
        self._spoke |= isinstance(delta, dict) or not _is_hollow(message or {})
        if reason:
            self.reason = self.settings.key.cover(whole(reason))

    def _misshapen(self, what: str) -> ModelFailed:
        return ModelFailed(
            f"{self.settings.url} answered with JSON of another shape: {what}. Is it compatible with OpenAI's?"
        )

    def generation(self, *, seconds: float, finish: Finish | None = None) -> Generation:
        """The reply.

        Raises:
            ModelFailed: the server withheld the text, gave none, or does not say that it is complete.
        """
        url = self.settings.url
        if self.reason == "content_filter":
            raise ModelFailed(f"{url} withheld the answer: its content filter stopped it")
        if self.reason in _NOT_TEXT:
            raise ModelFailed(f"{url} answered with a tool call instead of a text")
        if self.reason is None and finish is None:
            raise ModelFailed(
                f"what {url} sent ended before the answer did: no finish_reason came. Ask again; a compatible server "
                "ends every answer with one."
            )
        if self.reason not in _STOP | _LENGTH | {None}:
            raise ModelFailed(
                f"{url} ended its answer with the finish_reason {self.reason!r:.100}, which is not known: the text may "
                "be incomplete. Ask again, or another server."
            )
        if not (self._spoke or finish or self.reason in _LENGTH):
            raise self._misshapen("there is no message with content")
        return Generation(
            text=self.text(),
            finish=finish or ("length" if self.reason in _LENGTH else "stop"),
            prompt_tokens=_count(self.usage, "prompt_tokens"),
            new_tokens=_count(self.usage, "completion_tokens"),
            seconds=seconds,
        )


def embedding_of(value: Mapping[str, Any], request: Embed) -> Embedding:
    """The vectors in the order of the texts."""
    rows = sorted(_dicts(value.get("data")), key=lambda row: _count(row, "index"))
    try:
        vectors = tuple(tuple(float(x) for x in row["embedding"]) for row in rows)
    except (KeyError, TypeError, ValueError):
        vectors = ()
    if len(vectors) != len(request.texts) or not all(map(math.isfinite, (x for v in vectors for x in v))):
        raise ModelFailed("the server's embeddings are not one vector of finite numbers a text")
    return Embedding(vectors=vectors)


def echo(prompts: Sequence[str], model: str) -> dict[str, Any]:
    """The body for `/completions` that gets the log-probabilities of the prompts' own tokens."""
    return {"model": model, "prompt": list(prompts), "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}


def scores_of(value: Mapping[str, Any], request: Score) -> Scores:
    """Log-likelihoods from echoed prompts.

    A token counts when any of it lies behind the context, so a token over the join counts whole and none is lost.
    """
    choices = sorted(_dicts(value.get("choices")), key=lambda choice: _count(choice, "index"))
    if len(choices) != len(request.continuations):
        raise ModelFailed(f"the server scored {len(choices)} of {len(request.continuations)} continuations")
    pairs = zip(choices, request.continuations, strict=True)
    return Scores(likelihoods=tuple(_likelihood(c, len(request.context), len(request.context + t)) for c, t in pairs))


def _likelihood(choice: Mapping[str, Any], start: int, end: int) -> Likelihood:
    try:
        logprobs = choice["logprobs"]
        tokens, values, tops = logprobs["tokens"], logprobs["token_logprobs"], logprobs.get("top_logprobs")
        begins = logprobs.get("text_offset") or _offsets(tokens)
        places = [n for n, at in enumerate(begins) if at < end and at + max(1, len(tokens[n])) > start]
        scored = [float(values[n]) for n in places]
        greedy = all(_is_best(values[n], tops[n] if tops else None) for n in places)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise ModelFailed(
            "the server gave no log-probability for every token of a continuation. "
            "It must echo the prompt with log-probabilities, and the context must not be empty."
        ) from None
    if not scored or not all(map(math.isfinite, scored)):
        raise ModelFailed("the server's log-probabilities cover no token of a continuation, or are not finite")
    return Likelihood(logprob=math.fsum(scored), tokens=len(scored), greedy=greedy)


def _is_best(value: float, top: Any) -> bool:
    """Whether no token was likelier; where the server names no alternatives, that is not known and counts as no."""
    return bool(top) and value >= max(top.values()) - 1e-6


def _offsets(tokens: Sequence[str]) -> list[int]:
    places, at = [], 0
    for token in tokens:
        places.append(at)
        at += len(token)
    return places


def whole(text: str) -> str:
    """The text as UTF-8 can hold it: halves of a character are joined, and one alone becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(said: Mapping[str, Any]) -> str:
    """Content as text or as parts; a refusal is what the model said."""
    content, refusal = said.get("content"), said.get("refusal")
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    if not all(text is None or isinstance(text, str) for text in (content, refusal)):
        raise TypeError("no text")
    return content or refusal or ""


def _is_hollow(message: Mapping[str, Any]) -> bool:
    """Whether it says nothing. An empty text is one; null is none, and stands beside a refusal or what is no text."""
    return message.get("content") is None and message.get("refusal") is None and not any(map(message.get, _INSTEAD))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(value: Mapping[str, Any], name: str) -> int:
    count = value.get(name)
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else 0
