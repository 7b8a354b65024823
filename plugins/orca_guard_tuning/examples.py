"""Conversations as token ids, each with whether the model is to learn to write it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orca_guard.errors import BadInput
from orca_guard.types import Message


@dataclass(frozen=True, slots=True)
class Example:
    """One text the model is trained on.

    Attributes:
        ids: its tokens, int32.
        learned: of every token, whether its loss counts; bool, as long as `ids`.
    """

    ids: NDArray[np.int32]
    learned: NDArray[np.bool_]

    @classmethod
    def of(cls, pieces: Iterable[tuple[Sequence[int], bool]]) -> Example:
        """From runs of tokens, each with whether it is learned."""
        pieces = list(pieces)
        return cls(
            ids=np.array([i for ids, _ in pieces for i in ids], np.int32),
            learned=np.array([learn for ids, learn in pieces for _ in ids], np.bool_),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answer_tokens(self) -> int:
        """How many tokens have a loss. The first token of a text never has one: nothing stands before it."""
        return int(self.learned[1:].sum())


class Encoder:
    """Makes examples of conversations with a tokenizer's own chat template.

    Args:
        tokenizer: of transformers.

    Raises:
        BadInput: it has no chat template.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.chat_template:
            raise BadInput(
                "the tokenizer has no chat template, so nobody knows how a conversation is written. "
                'Write `template = "chatml"` in the stages file, or start from a model that has one.'
            )
        self._tokenizer = tokenizer
        added: Mapping[int, Any] = tokenizer.added_tokens_decoder
        self._controls = {i: token.content for i, token in added.items() if token.special}
        self._controls |= dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))

    def example(self, messages: Sequence[Message]) -> Example:
        """A conversation whose last turn, the assistant's, is learned: its text and the token that ends it.

        The prompt is tokenised together with the answer where that gives the same prompt as by itself, and otherwise
        apart: the model will be asked with the prompt alone.

        Raises:
            BadInput: a text holds a control token; the template refuses the conversation, or does not write the answer
                after the prompt it would ask with.
        """
        for message in messages:
            self._check(message.content)
        turns = [{"role": m.role, "content": m.content} for m in messages]
        prompt, whole = self._render(turns[:-1], opened=True), self._render(turns, opened=False)
        if not whole.startswith(prompt):
            raise BadInput("the chat template does not write an answer after the prompt it asks with")
        head, ids = self._encode(prompt), self._encode(whole)
        tail = ids[len(head) :] if ids[: len(head)] == head else self._encode(whole[len(prompt) :])
        return Example.of([(head, False), (self._closed(tail), True)])

    def _closed(self, tail: list[int]) -> list[int]:
        """The answer up to the token that ends it; what the template writes behind that is no answer."""
        end = next((n for n, i in enumerate(tail) if i in self._controls), None)
        if end is not None:
            return tail[: end + 1]
        if self._tokenizer.eos_token_id is None:
            raise BadInput("neither the chat template nor the tokenizer says how an answer ends")
        return [*tail, self._tokenizer.eos_token_id]

    def _check(self, text: str) -> None:
        for control in self._controls.values():
            if control and control in text:
                raise BadInput(f"a text holds the control token {control!r}")

    def _render(self, turns: list[dict[str, str]], *, opened: bool) -> str:
        from jinja2 import TemplateError  # noqa: PLC0415  # only where something is rendered

        try:
            return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=opened))
        except TemplateError as error:
            raise BadInput(f"the chat template refuses the conversation: {error}") from error

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False, verbose=False))
