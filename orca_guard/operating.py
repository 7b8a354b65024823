"""How good a guard is where it stands: its threshold, how often it is right and wrong there, and of which rows."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orca_guard.configuration import Table, read_text
from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_bytes

FORMAT = 1

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


class OperatingPoint(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a guard stands, and what is known of it there.

    Attributes:
        format: of this description.
        guard: its name.
        scorer: digest of what decides its scores; of another scorer the point says nothing.
        data: what the rows are, for people.
        threshold: a score at or above it is a hit; chosen on `dev`.
        bound: false-positive rate that `threshold` keeps to on `dev`.
        dev: rows that the threshold was chosen on.
        report: rows that the rates are of; none of them is in `dev`.
        tpr: share of labelled rows of `report` that are hits.
        fpr: share of the others that are.
        auroc: how likely a labelled row scores above another.
        balanced: mean of `tpr` and 1 - `fpr`.
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
    report: Rows
    tpr: Rate
    fpr: Rate
    auroc: Rate
    balanced: float
    unscored: int
    ms: float

    @property
    def sound(self) -> bool:
        """Whether the scorer tells enough apart for a guard that stops texts by default."""
        return self.auroc.low >= LEAST_AUROC

    @property
    def told(self) -> str:
        """One line of what is known."""
        return (
            f"AUROC {self.auroc.value:.3f} ({self.auroc.low:.3f} to {self.auroc.high:.3f}) on {self.data}; at "
            f"{self.threshold:.4g} it finds {self.tpr.value:.1%} and stops {self.fpr.value:.1%} of the others"
        )

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
    if not (0 <= point.threshold <= 1 and 0 <= point.auroc.low <= point.auroc.value <= point.auroc.high <= 1):
        raise BadInput(f"{path} is no operating point: its threshold or its AUROC is out of range")
    return point


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
