"""Files of the HHH set, and what is in their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orca_guard.data.rows import Parsed, RowFault, Taken, distinct, json_lines, parsed, text
from orca_guard.data.sets import DataFile, DataSet

SUBSETS = ("harmless", "helpful", "honest", "other")


@dataclass(frozen=True, slots=True)
class Pair:
    """What somebody said, and two replies to it, of which people preferred one."""

    subset: str
    said: str
    better: str
    worse: str


def read_pairs(path: Path, *, subset: str) -> Iterator[Parsed[Pair]]:
    """Rows of one subset."""
    yield from distinct(parsed(json_lines(path, ("input", "targets")), partial(_pair, subset)))


def _pair(subset: str, fields: Mapping[str, Any]) -> Taken[Pair]:
    targets = fields["targets"]
    choices, labels = (targets.get(key) if isinstance(targets, dict) else None for key in ("choices", "labels"))
    if not isinstance(choices, list) or not isinstance(labels, list) or sorted(labels) != [0, 1]:
        raise RowFault("its targets are not two choices, one of them right")
    if len(choices) != len(labels) or not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise RowFault("a choice is no text")
    if choices[0] == choices[1]:
        raise RowFault("its choices are the same")
    right = labels.index(1)
    return Taken(Pair(subset, text(fields, "input"), choices[right], choices[1 - right]))


FILES = tuple(
    DataFile(
        paths=(f"hhh_alignment/{subset}.json", f"hhh_alignment/{subset}.jsonl"), read=partial(read_pairs, subset=subset)
    )
    for subset in SUBSETS
)
HHH = DataSet(
    name="hhh_alignment",
    summary="two replies to the same words, one of them more helpful, honest or harmless",
    licence="Apache-2.0",
    origin="the data set HuggingFaceH4/hhh_alignment on the Hugging Face hub, or BIG-bench (hhh_alignment)",
    files=FILES,
    hub="HuggingFaceH4/hhh_alignment",
)
