"""Its two benchmarks: packs that lie beside this file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orca_guard.items import ACCURACY, REFUSED, Item, Kind, Metric
from orca_guard.packs import read_pack

VERSION = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A benchmark whose items are a pack. Members as in `orca_guard.contracts.Benchmark`."""

    name: str
    summary: str
    kind: Kind
    scoring: str
    metrics: tuple[Metric, ...] = (replace(ACCURACY, by=("category",)),)
    version: str = VERSION

    def files(self, _data: Path | None, /) -> Mapping[str, Path]:
        """The pack in this package, wherever other data lies."""
        return {f"{self.name}.jsonl": Path(__file__).parent / f"{self.name}.jsonl"}

    def items(self, files: Mapping[str, Path], /) -> Iterable[Item]:
        """As they stand in the pack."""
        return read_pack(files[f"{self.name}.jsonl"])


QUESTIONS = Pack(
    name="basics-questions",
    summary="everyday questions: sums, facts, short texts, choices",
    kind="question",
    scoring="match-folded",
    metrics=(replace(ACCURACY, by=("category",)), REFUSED),
)
CHOICES = Pack(
    name="basics-choices",
    summary="everyday sentences to be ended, as log-likelihoods",
    kind="score",
    scoring="likelihood",
)
