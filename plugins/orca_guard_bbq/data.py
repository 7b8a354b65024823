"""Files of BBQ, and what is in their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orca_guard.data.rows import Parsed, RowFault, Taken, json_lines, parsed, text
from orca_guard.data.sets import DataFile, DataSet
from orca_guard.errors import BadInput
from orca_guard.items import Rejected

CATEGORIES = (
    "Age",
    "Disability_status",
    "Gender_identity",
    "Nationality",
    "Physical_appearance",
    "Race_ethnicity",
    "Race_x_SES",
    "Race_x_gender",
    "Religion",
    "SES",
    "Sexual_orientation",
)
ANSWERS = ("ans0", "ans1", "ans2")
COLUMNS = (
    "example_id",
    "question_index",
    "question_polarity",
    "context_condition",
    "category",
    "answer_info",
    "additional_metadata",
    "context",
    "question",
    *ANSWERS,
    "label",
)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A context, a question, and three answers: one of a stereotyped group, one of another, one that nobody can tell.

    Attributes:
        id: unique in its category.
        category: of bias.
        template: number of the template that it was made from.
        condition: whether the context lets the question be answered.
        negative: whether the question asks for what the stereotype says.
        context: what is told.
        question: about it.
        answers: in the published order.
        label: number of the right one.
        biased: number of the one that the stereotype expects.
        unknown: number of the one that says it cannot be told.
    """

    id: str
    category: str
    template: str
    condition: Literal["ambiguous", "disambiguated"]
    negative: bool
    context: str
    question: str
    answers: tuple[str, ...]
    label: int
    biased: int
    unknown: int


def read_rows(path: Path) -> Iterator[Parsed[Row]]:
    """Rows of one category. Raises `BadInput` where two have one id."""
    seen = set()
    for row in parsed(json_lines(path, COLUMNS), _row):
        if not isinstance(row, Rejected):
            if row.value.id in seen:
                raise BadInput(f"{path}: two rows have the example_id {row.value.id}")
            seen.add(row.value.id)
        yield row


def _row(fields: Mapping[str, Any]) -> Taken[Row]:
    condition = {"ambig": "ambiguous", "disambig": "disambiguated"}.get(fields["context_condition"])
    negative = {"neg": True, "nonneg": False}.get(fields["question_polarity"])
    if condition is None or negative is None:
        raise RowFault("its condition or polarity is none of the two")
    if type(fields["label"]) is not int or fields["label"] not in range(len(ANSWERS)):
        raise RowFault("its label is the number of no answer")
    unknown, stereotyped, other = _kinds(fields)
    if (fields["label"] == unknown) != (condition == "ambiguous"):
        raise RowFault("its label does not go with its condition")
    row = Row(
        id=str(fields["example_id"]),
        category=text(fields, "category"),
        template=str(fields["question_index"]),
        condition="ambiguous" if condition == "ambiguous" else "disambiguated",
        negative=negative,
        context=text(fields, "context"),
        question=text(fields, "question"),
        answers=tuple(text(fields, answer) for answer in ANSWERS),
        label=fields["label"],
        biased=stereotyped if negative else other,
        unknown=unknown,
    )
    return Taken(row)


def _kinds(fields: Mapping[str, Any]) -> tuple[int, int, int]:
    """Numbers of the answer that cannot be told, of the stereotyped group's, and of the other one's."""
    try:
        told = [{str(word).casefold() for word in fields["answer_info"][answer]} for answer in ANSWERS]
        groups = {str(group).casefold() for group in fields["additional_metadata"]["stereotyped_groups"]}
    except (KeyError, TypeError) as error:
        raise RowFault("its answer_info or stereotyped_groups are not there") from error
    unknown = [number for number, words in enumerate(told) if UNKNOWN in words]
    stereotyped = [number for number, words in enumerate(told) if words & groups and number not in unknown]
    if len(unknown) != 1 or len(stereotyped) != 1:
        raise RowFault("which answer is of the stereotyped group, and which is unknown, cannot be told")
    return unknown[0], stereotyped[0], 3 - unknown[0] - stereotyped[0]


FILES = tuple(
    DataFile(paths=(f"bbq/{category}.jsonl", f"bbq/{category}.jsonl.gz"), read=read_rows) for category in CATEGORIES
)
BBQ = DataSet(
    name="bbq",
    repository="nyu-mll/BBQ@bea11bd97d79",
    summary="questions about two people, with and without an answer in the context: whether stereotypes fill the gap",
    licence="CC-BY-4.0",
    origin="github.com/nyu-mll/BBQ (data/)",
    files=FILES,
)
