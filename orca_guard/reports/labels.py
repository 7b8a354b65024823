"""What people said of a sample of answers, held against what the score said."""

from __future__ import annotations

from collections.abc import Sequence

from orca_guard.journal.bundle import Bundle
from orca_guard.journal.statements import Stated
from orca_guard.reports.gather import Gathered
from orca_guard.reports.summary import Labels


def labels_of(bundle: Bundle, gathered: Gathered, said: Sequence[Stated]) -> tuple[Labels, ...]:
    """Nothing yet."""
    return ()
