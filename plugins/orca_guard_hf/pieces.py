"""Texts encoded piece by piece, where that gives the same tokens: what many texts begin with is then encoded once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from tokenizers import AddedToken, models, normalizers

Ids = tuple[int, ...]

_LEAST = 64
"""Characters of a piece, but for the last of a text: fewer are shared sooner, more are fewer to put together."""
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_LETTER_SPACE = re.compile("[A-Za-z] ")
_AFTER_DIGITS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_BEFORE_DIGITS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
WORDS = tuple(_BEFORE_DIGITS + digits + _AFTER_DIGITS for digits in (r"\p{N}{1,3}", r"\p{N}"))
"""How Llama 3 and Qwen 2 part words, as their `tokenizer.json` has it."""
_TRIED = (
    "The quick brown fox jumps over a lazy dog, and  seven wizards box with five dozen jugs of it",
    "Q: Who's there?\nA: I\u2019d rather not say so \n\n as  one e\u0301 of 1,234 others <b> would (cafe\u0301)",
    " It began with a space, and is a line of more than 64 letters \n which\tgoes on and  on and ends in a space ",
)


def encoder_of(tokenizer: Any) -> Callable[[Sequence[str]], list[Ids]]:
    """What encodes texts with this tokenizer, without tokens in front or behind: by pieces where `parts` holds."""
    call: Any = tokenizer

    def whole(texts: Sequence[str]) -> list[Ids]:
        how = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
        return list(map(tuple, call(list(texts), **how)["input_ids"])) if texts else []

    if not parts(tokenizer):
        return whole
    backend = tokenizer.backend_tokenizer
    return partial(_by_pieces, backend) if _by_pieces(backend, _TRIED) == whole(_TRIED) else whole


def parts(tokenizer: Any) -> bool:
    """Whether a text may be cut between a letter (A to Z) and a space, and the tokens of both parts are those of it.

    They are when whoever parts words always does so there, whatever comes before and after. That is so for GPT-2's
    expression, which `ByteLevel` has built in, and for those in `WORDS`: none of their alternatives goes on from a
    letter to a space, and none looks back, or further ahead than one character. Where words are not parted, as in
    Llama 2's vocabulary of pieces, it is so if no token holds a letter and a space after it, because two parts are only
    ever merged into a token.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not getattr(tokenizer, "is_fast", False) or backend is None:
        return False
    if backend.truncation or backend.padding or backend.encode_special_tokens:
        return False
    if not isinstance(backend.model, models.BPE) or backend.model.dropout:
        return False
    if backend.normalizer is not None and not isinstance(backend.normalizer, normalizers.NFC):
        return False
    return not any(map(_reaches, backend.get_added_tokens_decoder().values())) and _parts_words(backend)


def _reaches(token: AddedToken) -> bool:
    """Whether an added token may depend on what stands on both sides of a cut."""
    return bool(token.rstrip or token.single_word or _LETTER_SPACE.search(token.content))


def _parts_words(backend: Any) -> bool:
    model = backend.model
    match json.loads(backend.pre_tokenizer.__getstate__()) if backend.pre_tokenizer else None:
        case {"type": "ByteLevel", "use_regex": True}:
            return True
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "use_regex": False},
            ],
        }:
            return words in WORDS
        case {"type": "Metaspace", "split": False, "replacement": space}:
            vocabulary = backend.get_vocab(with_added_tokens=False)
            crossing = re.compile(f"[A-Za-z]{re.escape(space)}").search
            odd = model.continuing_subword_prefix or model.end_of_word_suffix or model.ignore_merges
            return not odd and space in vocabulary and not any(map(crossing, vocabulary))
    return False


def _by_pieces(backend: Any, texts: Sequence[str]) -> list[Ids]:
    cut = [_pieces(text) for text in texts]
    distinct = list(dict.fromkeys(chain.from_iterable(cut)))
    known = dict(zip(distinct, _ids(backend, distinct), strict=True))
    return [tuple(chain.from_iterable(map(known.__getitem__, pieces))) for pieces in cut]


def _ids(backend: Any, texts: Sequence[str]) -> Iterable[Sequence[int]]:
    return (one.ids for one in backend.encode_batch_fast(list(texts), add_special_tokens=False))


def _pieces(text: str) -> list[str]:
    """A text in pieces whose ends depend on nothing after them, so that what texts begin with is cut alike."""
    found, start = [], 0
    at = text.find(" ", _LEAST)
    while at > 0:
        if text[at - 1] in _LETTERS:
            found.append(text[start:at])
            start, at = at, text.find(" ", at + _LEAST)
        else:
            at = text.find(" ", at + 1)
    return [*found, text[start:]]
