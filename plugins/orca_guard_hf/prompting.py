"""Messages to token ids and back, such that nothing a user writes becomes a control token.

A control token is one that opens or closes a turn or a text: every special token, every one the profile names, and
every added token that the template itself writes. The conversation is rendered with each such string in a message
hidden behind a placeholder, so that afterwards it is known which occurrences are the template's. Then the true text is
tokenised as a whole, exactly as the model's makers would, and the control ids that came from a message are replaced by
the ids of their spelling. What the model reads is thus the user's text, unchanged, and no turn of the user's making.
When the numbers of control ids and of control strings differ (a normaliser made one out of something else), the prompt
is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from jinja2 import TemplateError

from orca_guard.errors import BadInput
from orca_guard.types import Message
from orca_guard_hf.pieces import encoder_of
from orca_guard_hf.profiles import Profile

_PROBE = (Message("user", "x"),)
_REMEMBERED = 4096
"""Encoded texts: the metrics of a benchmark often ask for the same ones."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text and, for each control string in it from left to right, whether it came out of a message."""

    text: str
    literal: tuple[bool, ...] = ()

    def __add__(self, other: Rendered) -> Rendered:
        return Rendered(self.text + other.text, self.literal + other.literal)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered text as the model sees it, and its token ids."""

    text: str
    ids: tuple[int, ...]


class Prompter:
    """Renders, encodes and decodes for one tokenizer under one profile. Not thread-safe: tokenizers are not."""

    def __init__(self, tokenizer: Any, profile: Profile) -> None:
        self.tokenizer = tokenizer
        self.profile = profile
        self.template: str = profile.template or _own_template(tokenizer, profile)
        self.bos: int | None = tokenizer.bos_token_id
        self.pad = _id_of(tokenizer, profile.pad) if profile.pad else next(iter(_pads(tokenizer)), 0)
        self._starts_raw_text = _starts_raw_text(tokenizer, profile)
        self.probe = self._render_probe()
        """A conversation of one turn, to see what the template writes by itself."""
        self._controls = self._find_controls()
        self._pattern = _alternatives(self._controls)
        self._firsts = {token[:1] for token in self._controls}
        self.control_ids = frozenset(self._controls.values())
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._encode)
        self._foreseen: dict[str, tuple[int, ...]] = {}

    @property
    def controls(self) -> frozenset[str]:
        """The strings of the control tokens."""
        return frozenset(self._controls)

    def closing(self) -> int | None:
        """The control token that the template writes after the assistant's text, if it writes one."""
        mark = chr(0xE000)
        try:
            text = self._render([{"role": "user", "content": "x"}, {"role": "assistant", "content": mark}])
        except BadInput:
            return None
        found = self._pattern.match(text.partition(mark)[2].lstrip())
        return self._controls[found.group()] if found else None

    def chat(self, messages: Sequence[Message]) -> Rendered:
        """The conversation with the assistant's turn opened.

        Raises:
            BadInput: the template refuses it, or leaves the system message out.
        """
        mark = _unused_character(messages)
        hidden: list[str] = []
        turns = [{"role": m.role, "content": self._hide(m.content, mark, hidden)} for m in messages]
        rendered = self._reveal(self._render(turns), mark, hidden)
        if any(m.role == "system" and m.content.strip() not in rendered.text for m in messages):
            raise BadInput(
                f"the chat template ({self.profile.name}) leaves the system message out. "
                "Use a profile with a place for it, or a strategy without a system message."
            )
        return rendered

    def opened(self, messages: Sequence[Message]) -> Rendered:
        """The conversation up to where the text of the assistant's turn starts."""
        return self.chat(messages) + self.plain(self.profile.answer_prefix)

    def plain(self, text: str) -> Rendered:
        """Raw text: every control string in it is spelt out."""
        if not any(first in text for first in self._firsts):  # far quicker than the pattern, and seldom wrong
            return Rendered(text)
        return Rendered(text, (True,) * len(self._pattern.findall(text)))

    def prompt(self, rendered: Rendered, *, raw: bool = False) -> Prompt:
        """Token ids, with the first token as the profile wants it.

        Raises:
            BadInput: control tokens and text cannot be told apart.
        """
        ids = self._spell_out(self._encoded(rendered.text), rendered.literal)
        starts = self._starts_raw_text if raw else self.profile.bos == "one"
        if starts and self.bos is not None and ids[:1] != (self.bos,):
            return Prompt(self.tokenizer.bos_token + rendered.text, (self.bos, *ids))
        return Prompt(rendered.text, ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of generated ids, without control tokens and what the model writes before its turn."""
        kept = [i for i in ids if i not in self.control_ids]
        text = str(self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        return text.removeprefix(self.profile.answer_prefix)

    def foresee(self, texts: Iterable[str]) -> None:
        """Encode all of these together: what they begin with alike once, the rest over all of the processor's cores."""
        whole = [text for text in dict.fromkeys(texts) if not _broken_at(text)]
        self._foreseen = dict(zip(whole, self._encode_together(whole), strict=True))

    @cached_property
    def _encode_together(self) -> Callable[[Sequence[str]], list[tuple[int, ...]]]:
        return encoder_of(self.tokenizer)

    def _encoded(self, text: str) -> tuple[int, ...]:
        ids = self._foreseen.get(text)
        return self._remembered(text) if ids is None else ids

    def _find_controls(self) -> dict[str, int]:
        added: dict[str, int] = self.tokenizer.get_added_vocab()
        special = {t.content for t in self.tokenizer.added_tokens_decoder.values() if t.special}
        named = {*self.profile.special_tokens, *self.profile.stop_tokens, *self.tokenizer.all_special_tokens}
        written = {token for token in added if token.strip() and token in self.probe}
        ids = {token: _id_of(self.tokenizer, token) for token in special | named | written}
        return {token: i for token, i in ids.items() if i != _unknown(self.tokenizer)}

    def _render_probe(self) -> str:
        try:
            return self._render([{"role": m.role, "content": m.content} for m in _PROBE])
        except BadInput:
            return self.template

    def _render(self, turns: list[dict[str, str]]) -> str:
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    turns, chat_template=self.template, tokenize=False, add_generation_prompt=True
                )
            )
        except (TemplateError, TypeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise BadInput(
                f"the chat template ({self.profile.name}) refuses turns {[t['role'] for t in turns]}: {reason}"
            ) from error

    def _hide(self, content: str, mark: str, hidden: list[str]) -> str:
        def number(found: re.Match[str]) -> str:
            hidden.append(found.group())
            return f"{mark}{len(hidden) - 1}{mark}"

        return self._pattern.sub(number, content)

    def _reveal(self, text: str, mark: str, hidden: Sequence[str]) -> Rendered:
        literal: list[bool] = []

        def show(found: re.Match[str]) -> str:
            literal.append(found.group(1) is not None)
            return hidden[int(found.group(1))] if found.group(1) is not None else found.group()

        shown = re.sub(f"{mark}(\\d+){mark}|{self._pattern.pattern}", show, text)
        return Rendered(shown, tuple(literal))

    def _encode(self, text: str) -> tuple[int, ...]:
        if broken := _broken_at(text):
            raise BadInput(f"the text holds half a character (at {broken - 1}) that no tokenizer knows.")
        return tuple(self.tokenizer.encode(text, add_special_tokens=False, verbose=False))

    def _spell_out(self, ids: tuple[int, ...], literal: Sequence[bool]) -> tuple[int, ...]:
        if not literal and self.control_ids.isdisjoint(ids):
            return ids
        found = sum(map(self.control_ids.__contains__, ids))
        if found != len(literal):
            raise BadInput(
                f"the prompt holds {len(literal)} control strings, but the tokenizer makes {found} control tokens "
                "of it, so a turn could be forged. Remove what looks like a control token from the text."
            )
        if not any(literal):
            return ids
        origins = iter(literal)
        return tuple(j for i in ids for j in (self._spelling(i) if i in self.control_ids and next(origins) else (i,)))

    def _spelling(self, control: int) -> list[int]:
        """Ids of a control token's string as ordinary text: its first character apart from the rest."""
        text = next(token for token, i in self._controls.items() if i == control)
        ids = [*self._encode(text[:1]), *self._encode(text[1:])]
        if self.control_ids.intersection(ids):
            raise BadInput(f"the tokenizer cannot spell out {text!r}. Remove it from the text.")
        return ids


def _broken_at(text: str) -> int:
    """Where the first half of a character stands, counted from 1; 0 where there is none."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start + 1
    return 0


def _own_template(tokenizer: Any, profile: Profile) -> str:
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise BadInput(
            f"the profile {profile.name!r} wants the tokenizer's own chat template, but there is none, or several "
            "without a default. Name another profile: chatml, plain, or the path of your own."
        ) from error


def _id_of(tokenizer: Any, token: str) -> int:
    i = tokenizer.convert_tokens_to_ids(token)
    if i is None or (i == _unknown(tokenizer) and token != tokenizer.unk_token):
        raise BadInput(f"the tokenizer has no token {token!r}, which the profile needs. Name another profile.")
    return int(i)


def _unknown(tokenizer: Any) -> int | None:
    """Id of the unknown token, unless it is at the same time the one that starts or ends a text."""
    unknown: int | None = tokenizer.unk_token_id
    return None if unknown in {tokenizer.bos_token_id, tokenizer.eos_token_id} else unknown


def _pads(tokenizer: Any) -> Iterable[int]:
    candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id)
    return (i for i in candidates if i is not None)


def _starts_raw_text(tokenizer: Any, profile: Profile) -> bool:
    if profile.bos == "template":
        return tokenizer.bos_token_id is not None and tokenizer.encode("x")[:1] == [tokenizer.bos_token_id]
    return profile.bos == "one"


def _alternatives(strings: Iterable[str]) -> re.Pattern[str]:
    """Longest first, as tokenizers match; without any, what never matches."""
    return re.compile("|".join(map(re.escape, sorted(strings, key=len, reverse=True))) or r"(?!)")


def _unused_character(messages: Iterable[Message]) -> str:
    used = {c for m in messages for c in m.content}
    return next(c for c in map(chr, range(0xE000, 0xF8FF)) if c not in used)
