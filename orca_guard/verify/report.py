"""What verifying came to: named checks, each with what proves it, what is wrong, or why nobody here can tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from orca_guard.errors import ExitCode
from orca_guard.journal.chain import Fault

SHOWN = 5
"""Faults of one check that are named; of the rest their number is said."""


class Status(StrEnum):
    """What became of a check."""

    PROVEN = "proven"
    ASSERTED = "asserted"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of the check.
        status: PROVEN here; ASSERTED by whoever made the run, and nothing here can check it; FAULT; or SKIPPED.
        what: by what it is proven, what nobody can tell, what is wrong, or why it was left out.
        faults: the first of them.
        count: of all faults.
    """

    name: str
    status: Status
    what: str
    faults: tuple[Fault, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was looked at.

    Attributes:
        plan: digest of the plan; empty where it cannot be read.
        sealed: whether there is a seal, so that the run says it is complete.
        checks: in the order in which they build on each other.
        unanswered: whether a model was to be asked, and of nothing that was drawn it could be.
    """

    plan: str
    sealed: bool
    checks: tuple[Check, ...]
    unanswered: bool = False

    @property
    def faulty(self) -> bool:
        """Whether anything is wrong."""
        return any(check.status is Status.FAULT for check in self.checks)

    @property
    def exit_code(self) -> ExitCode:
        """FAILED for a fault, INCONCLUSIVE without a seal or with a question unanswered, DONE for all else."""
        if self.faulty:
            return ExitCode.FAILED
        return ExitCode.DONE if self.sealed and not self.unanswered else ExitCode.INCONCLUSIVE


@dataclass(slots=True)
class _Pile:
    count: int = 0
    first: list[Fault] = field(default_factory=list)


class Ledger:
    """Faults as they are found, by check: the first of each are kept, and all of them counted."""

    def __init__(self) -> None:
        self._piles: defaultdict[str, _Pile] = defaultdict(_Pile)

    def add(self, check: str, fault: Fault) -> None:
        """One more."""
        pile = self._piles[check]
        pile.count += 1
        if len(pile.first) < SHOWN:
            pile.first.append(fault)

    def add_all(self, check: str, faults: Iterable[Fault]) -> None:
        """Some more."""
        for fault in faults:
            self.add(check, fault)

    def settle(self, name: str, status: Status, what: str) -> Check:
        """The check: a FAULT if one was found, and otherwise what is said here."""
        if name not in self._piles:
            return Check(name=name, status=status, what=what)
        pile = self._piles[name]
        more = pile.count - len(pile.first)
        told = "; ".join(map(str, pile.first)) + (f"; and {more} more" if more else "")
        return Check(name=name, status=Status.FAULT, what=told, faults=tuple(pile.first), count=pile.count)
