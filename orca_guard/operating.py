"""How good a guard is where it stands: its threshold, how often it is right and wrong there, and of which rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from orca_guard.configuration import Table, read_text
from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_bytes

FORMAT = 2

LEAST_AUROC = 0.65
"""A scorer whose lower 95 % bound lies below this is no default guard: it tells too little apart."""


class Rate(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number with its two-sided 95 % interval, and how many rows it is of."""

    value: float
    low: float
    high: float
    n: int


class Rows(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labelled rows: a digest over the digests of their texts, how many there are, and how many carry the label."""

    digest: str
    n: int
    hits: int


class OnSet(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a guard is worth at its threshold on the rows of one set.

    Attributes:
        name: of the set.
        rows: of its report part.
        tpr: share of labelled rows that are hits.
        fpr: share of the others that are.
        auroc: how likely a labelled row scores above another.
        balanced: mean of `tpr` and 1 - `fpr`.
    """

    name: str
    rows: Rows
    tpr: Rate
    fpr: Rate
    auroc: Rate
    balanced: float

    @property
    def told(self) -> str:
        """One line."""
        return (
            f"AUROC {self.auroc.value:.3f} ({self.auroc.low:.3f} to {self.auroc.high:.3f}), finds {self.tpr.value:.1%} "
            f"and stops {self.fpr.value:.1%} of the others on {self.name}"
        )


class OperatingPoint(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a guard stands, and what is known of it there.

    Rates are told set by set: over rows of several sets together they say how the sets differ, more than what the
    scorer tells apart.

    Attributes:
        format: of this description.
        guard: its name.
        scorer: digest of what decides its scores; of another scorer the point says nothing.
        data: what the rows are, for people.
        threshold: a score at or above it is a hit; chosen on `dev`.
        bound: false-positive rate that `threshold` keeps to on `dev`, in the mean of the sets.
        dev: rows that the threshold was chosen on.
        sets: evidence on rows that are not in `dev`; the set with the lowest bound of AUROC stands first.
        relevant: the set that texts in use are like, as whoever calibrated says: it decides whether the guard stops
            texts by default. Empty is the worst.
        unscored: rows of both parts that have no score, because the scorer failed on them; each counts as wrong.
        ms: milliseconds for 1,000 tokens, taken as 4,000 characters, in one thread of the machine it was measured on.
    """

    format: int = FORMAT
    guard: str
    scorer: str
    data: str
    threshold: float
    bound: float
    dev: Rows
    sets: tuple[OnSet, ...]
    relevant: str = ""
    unscored: int
    ms: float

    @property
    def worst(self) -> OnSet:
        """Where it tells least apart."""
        return self.sets[0]

    @property
    def decisive(self) -> OnSet:
        """The set that decides whether it stops texts by default."""
        return next((one for one in self.sets if one.name == self.relevant), self.worst)

    @property
    def sound(self) -> bool:
        """Whether the scorer tells enough apart for a guard that stops texts by default."""
        return self.decisive.auroc.low >= LEAST_AUROC

    @property
    def weak(self) -> str:
        """On which sets it is no better than what; empty where it is good enough on all of them."""
        poor = [f"{one.auroc.low:.2f} on {one.name}" for one in self.sets if one.auroc.low < LEAST_AUROC]
        return f"no better than an AUROC of {' and '.join(poor)}" if poor else ""

    @property
    def told(self) -> str:
        """One line of what is known, the worst first."""
        others = [one for one in self.sets[1:] if one is not self.decisive]
        lines = [self.worst.told, *([self.decisive.told] if self.decisive is not self.worst else [])]
        lines += [f"AUROC {one.auroc.value:.3f} on {one.name}" for one in others]
        return f"at {self.threshold:.4g}: {'; '.join(lines)}"

    @property
    def digest(self) -> str:
        """Of everything it says."""
        return digest_bytes(canonical(msgspec.to_builtins(self)))


def read(path: Path) -> OperatingPoint:
    """The operating point in a file.

    Raises:
        BadInput: it cannot be read or is none.
    """
    try:
        point = msgspec.json.decode(read_text(path, what="operating point"), type=OperatingPoint)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path} is no operating point: {error}. `orca-guard guards calibrate` writes one.") from error
    if point.format != FORMAT:
        raise BadInput(f"{path} has format {point.format}; this version reads format {FORMAT}")
    if not 0 <= point.threshold <= 1 or not point.sets or not all(map(_in_range, point.sets)):
        raise BadInput(f"{path} is no operating point: its threshold or its AUROC is out of range")
    if point.sets != tuple(worst_first(point.sets)):
        raise BadInput(f"{path} is no operating point: its worst set does not stand first")
    if point.relevant and point.decisive.name != point.relevant:
        raise BadInput(f"{path} is no operating point: it has no set {point.relevant!r}")
    return point


def worst_first(sets: Iterable[OnSet]) -> list[OnSet]:
    """Sets by the lower bound of what the scorer tells apart on them."""
    return sorted(sets, key=lambda one: (one.auroc.low, one.name))


def _in_range(one: OnSet) -> bool:
    return 0 <= one.auroc.low <= one.auroc.value <= one.auroc.high <= 1


def write(point: OperatingPoint, path: Path) -> None:
    """Write it where `read` finds it.

    Raises:
        BadInput: the file cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(point), indent=2).decode()
    try:
        path.write_text(f"{text}\n", "utf-8")
    except OSError as error:
        raise BadInput(f"cannot write the operating point {path}: {error.strerror}") from error
