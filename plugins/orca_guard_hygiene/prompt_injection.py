"""The plainest attempts to talk a model out of its instructions, by a short pattern list.

It finds phrases, not intentions: a question *about* such a phrase is stopped as well, and anything phrased another way
is not. It is the floor under a trained classifier, not a replacement for one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from orca_guard.types import Action, Exhibit, Scope, Stage

_RULES = r"(?:instructions?|rules?|prompts?|messages?|guidelines?|directions?|training)"
_EARLIER = r"(?:previous|prior|above|earlier|preceding|original|initial|system)"
_DROP = r"\b(?:ignore|disregard|forget|override|bypass)"
_SHOW = r"\b(?:reveal|print|repeat|show|output|leak|tell me)"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_DROP} (?:all |any )?(?:of )?(?:the |your |my |these |those )?{_EARLIER} {_RULES}",
        rf"{_DROP} (?:all|everything)(?: of)? (?:that |what )?(?:you were told|you have been told|above|before this)",
        r"\byou are now (?:dan|jailbroken|unrestricted|unfiltered|in developer mode|in god mode)\b",
        r"\b(?:you|act as if you) have no (?:rules|restrictions|guidelines|filters?|limits)\b",
        rf"{_SHOW} (?:me )?(?:your|the) (?:system|hidden|initial|secret|original) {_RULES}",
        r"<\|(?:im start|im end|system|endoftext|eot id|start header id)\|>|\[/?inst\]|<</?sys>>",
    )
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
# Underscores are styling too, so the patterns above have blanks where chat markup has them.
_GAPS = re.compile(r"[\s_*`~]+")


@dataclass(frozen=True, slots=True)
class PromptInjection:
    """Scores 1 where a pattern is found and 0 where none is."""

    name: str = "prompt-injection"
    summary: str = "known phrases that try to replace the model's instructions"
    stages: frozenset[Stage] = frozenset({"input"})
    scope: Scope = "whole"
    threshold: float = 0.5
    action: Action = Action.BLOCK

    def score(self, exhibits: Sequence[Exhibit], /) -> Sequence[float]:
        """System turns belong to the operator of a conversation and may well speak of instructions."""
        return [0.0 if exhibit.part == "system" else float(injects(exhibit.text)) for exhibit in exhibits]


def injects(text: str) -> bool:
    """Whether the text, without letter case, styling and invisible characters, matches a pattern."""
    plain = _GAPS.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).casefold()
    return any(pattern.search(plain) for pattern in _PATTERNS)
