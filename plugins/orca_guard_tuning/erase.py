"""Prompt erasing: the student sees the generic message in place of the one that told the teacher how to work."""

from __future__ import annotations

import msgspec

from orca_guard_tuning.triples import Erased, Triple


def erased(triple: Triple, *, system: str) -> Triple:
    """The triple as the student sees it: a generic system message, and the answer in one turn.

    The passes of a strategy that asks more than once go with its message: their prompts would tell the way too. What
    was erased before is kept as it was.

    Args:
        triple: of the teacher.
        system: the generic message.
    """
    kept = triple.erased or Erased(system=triple.system, passes=triple.passes)
    return msgspec.structs.replace(triple, system=system, passes=(), erased=kept)
