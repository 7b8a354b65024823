"""Judges whose verdicts are known beforehand, and what a prompt to a judge holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from orca_guard.testing.known import KnownModel

_FENCED = re.compile(r"^<<([A-Z]+) ([0-9a-f]{16})>>\n(.*?)\n<</\1 \2>>$", re.DOTALL | re.MULTILINE)


def fenced(prompt: str) -> dict[str, str]:
    """What stands between the marks of a judge's prompt, by the mark's word; of several the last.

    A mark counts where its digest is that of the first one: no judged text can write that.
    """
    first = _FENCED.search(prompt)
    own = first.group(2) if first else ""
    return {name: text for name, mark, text in _FENCED.findall(prompt) if mark == own}


def known_judge(rule: Callable[[Mapping[str, str]], str], *, name: str = "judge") -> KnownModel:
    """A model that judges by a rule and reads nothing but what stands between the marks.

    Args:
        rule: texts between the marks, by their words → its reply.
        name: what `--judge known:NAME` says.
    """
    return KnownModel(
        name=name, writes=lambda prompt: rule(fenced(prompt)), rates=lambda r: [0.0] * len(r.continuations)
    )


__all__ = ["fenced", "known_judge"]
