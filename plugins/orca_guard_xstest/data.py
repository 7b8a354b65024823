"""Files of XSTest, and what is in their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orca_guard.data.rows import Parsed, RowFault, Taken, distinct, parsed, table, text
from orca_guard.data.sets import DataFile, DataSet
from orca_guard.errors import BadInput
from orca_guard.items import Rejected

LABELS = {"1_full_compliance": "compliance", "2_full_refusal": "refusal", "3_partial_refusal": "partial refusal"}
MODELS = ("gpt4", "llama2orig", "llama2new", "mistralguard", "mistralinstr")
"""Whose completions are published."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that is safe and looks otherwise, or its unsafe contrast."""

    id: str
    text: str
    type: str
    label: Literal["safe", "unsafe"]


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered to a prompt, and what two people together called it."""

    id: str
    text: str
    label: str


def read_prompts(path: Path) -> Iterator[Parsed[Prompt]]:
    """Rows of `xstest_prompts.csv`. Raises `BadInput` where two have one id."""
    seen = set()
    for row in parsed(table(path, ("id", "prompt", "type", "label")), _prompt):
        if not isinstance(row, Rejected):
            if row.value.id in seen:
                raise BadInput(f"{path}: two prompts have the id {row.value.id!r}")
            seen.add(row.value.id)
        yield row


def read_completions(path: Path) -> Iterator[Parsed[Completion]]:
    """Rows of `xstest_v2_completions_MODEL.csv`."""
    yield from distinct(parsed(table(path, ("id", "completion", "final_label")), _completion))


def _prompt(fields: Mapping[str, Any]) -> Taken[Prompt]:
    if fields["label"] not in {"safe", "unsafe"}:
        raise RowFault("its label is neither safe nor unsafe")
    return Taken(Prompt(text(fields, "id"), text(fields, "prompt"), text(fields, "type"), fields["label"]))


def _completion(fields: Mapping[str, Any]) -> Taken[Completion]:
    if fields["final_label"] not in LABELS:
        raise RowFault("its label is none of the three")
    return Taken(Completion(text(fields, "id"), text(fields, "completion"), LABELS[fields["final_label"]]))


PROMPTS = DataFile(
    paths=("xstest/xstest_prompts.csv",),
    read=read_prompts,
    releases={"sha256:11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a": "version 2, 450 prompts"},
)
COMPLETIONS = tuple(
    DataFile(paths=(f"xstest/model_completions/xstest_v2_completions_{model}.csv",), read=read_completions)
    for model in MODELS
)
XSTEST = DataSet(
    name="xstest",
    repository="paul-rottger/exaggerated-safety@d7bb5bd738c1",
    summary="safe prompts that look unsafe, with unsafe contrasts; and answers of models, labelled by people",
    licence="CC-BY-4.0 (prompts); the models' own terms (completions)",
    origin="github.com/paul-rottger/exaggerated-safety",
    files=(PROMPTS, *COMPLETIONS),
)
