"""Which strategies go with which category: measured by a sweep, or written by hand as a table, in one TOML file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orca_guard.configuration import Table, decode, read_text
from orca_guard.errors import BadInput
from orca_guard_tuning.toml import toml

FORMAT = 1


class Cell(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[cells]]`: what a sweep measured of one strategy on one category.

    Attributes:
        category: of the prompts.
        strategy: they were answered under.
        n: prompts.
        right: how many were answered right.
        accuracy: their share.
        interval: 95 % bounds of it (Clopper and Pearson over clusters).
        tokens: mean tokens an answer.
        cached: answers that rest on replies kept from an earlier time.
    """

    category: str
    strategy: str
    n: int
    right: int
    accuracy: float
    interval: tuple[float, float]
    tokens: float
    cached: int = 0


class Policy(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file.

    Attributes:
        format: of the file.
        strategies: category → the strategy, or several, that its prompts are answered under. `*` is every category
            that is not named.
        margin: points of accuracy within which a sweep took the cheaper strategy.
        measured_on: digest of the prompts of the sweep; empty in a table written by hand.
        cells: what the sweep measured.
    """

    strategies: dict[str, str | tuple[str, ...]]
    format: int = FORMAT
    margin: float = 0.0
    measured_on: str = ""
    cells: tuple[Cell, ...] = ()

    def of(self, category: str) -> tuple[str, ...]:
        """The strategies of a category.

        Raises:
            BadInput: it is not named, and there is no `*`.
        """
        found = self.strategies.get(category, self.strategies.get("*"))
        if found is None:
            named = ", ".join(sorted(self.strategies)) or "none"
            raise BadInput(
                f"the policy names no strategy for category {category!r}; it names {named}. "
                'Add a line for it, or one for all others: "*" = "STRATEGY".'
            )
        return (found,) if isinstance(found, str) else found


def read_policy(path: Path) -> Policy:
    """The policy in a file. Raises `BadInput`."""
    policy = decode(read_text(path, what="policy"), Policy, {"cells": Cell}, source=str(path))
    if policy.format != FORMAT:
        raise BadInput(f"{path}: format is {policy.format}; this version reads format {FORMAT}")
    if not policy.strategies:
        raise BadInput(f"{path} names no strategies")
    return policy


def policy_text(policy: Policy) -> str:
    """The policy as TOML."""
    table = msgspec.to_builtins(policy)
    return toml({"format": policy.format, **table})
