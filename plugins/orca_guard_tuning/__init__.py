"""Explanation tuning with prompt erasing: the recipe of Orca 2 for a model of one's own."""

from __future__ import annotations

ORCA_GUARD_API = 1
