"""Files of TruthfulQA, and what is in their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orca_guard.data.rows import Parsed, RowFault, Taken, distinct, json_array, json_lines, lines, parsed, table, text
from orca_guard.data.sets import DataFile, DataSet
from orca_guard.errors import BadInput

RELEASE_817 = "817 questions"
RELEASE_2025 = "2025, 790 questions"
EMPTY = "an empty answer was left out"
"""As the authors' own code leaves it out when it takes lists of answers apart."""


@dataclass(frozen=True, slots=True)
class Choices:
    """A question, and its sets of answers: `mc1` and so on → answer → whether it is true."""

    question: str
    sets: Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a question was written as: `Adversarial` or not, and its category; with the answers to compare others with.

    Attributes:
        best: the best of the true answers.
        true: all of them.
        false: likewise.
    """

    question: str
    type: str
    category: str
    best: str = ""
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question, an answer to it, and whether people found it true, or informative."""

    question: str
    answer: str
    label: bool


def read_choices(path: Path, *, sets: tuple[str, ...]) -> Iterator[Parsed[Choices]]:
    """Rows of `mc_task.json`."""
    yield from parsed(json_array(path, ["question", *(f"{name}_targets" for name in sets)]), partial(_choices, sets))


def read_origins(path: Path) -> Iterator[Parsed[Origin]]:
    """Rows of `TruthfulQA.csv`."""
    yield from parsed(table(path, ("Type", "Category", "Question", "Correct Answers", "Incorrect Answers")), _origin)


def read_labelled(path: Path, *, asks: str) -> Iterator[Parsed[Labelled]]:
    """Rows of `finetune_truth.jsonl` and `finetune_info.jsonl`; `asks` is the word at the end of their prompts."""
    yield from distinct(parsed(json_lines(path, ("prompt", "completion")), partial(_labelled, asks)))


def read_preamble(path: Path) -> Iterator[Parsed[str]]:
    """A text that stands before every question, as one row."""
    preamble = "".join(lines(path)).strip()
    if not preamble:
        raise BadInput(f"{path}: it is empty")
    yield Taken(preamble)


def _choices(names: tuple[str, ...], fields: Mapping[str, Any]) -> Taken[Choices]:
    sets, repairs = {}, []
    for name in names:
        sets[name] = _targets(fields[f"{name}_targets"])
        if any(not answer.strip() for answer in fields[f"{name}_targets"]):
            repairs.append(EMPTY)
    return Taken(Choices(text(fields, "question").strip(), sets), tuple(dict.fromkeys(repairs)))


def _targets(targets: Any) -> dict[str, bool]:
    if not isinstance(targets, dict) or not all(type(label) is int and label in {0, 1} for label in targets.values()):
        raise RowFault("its targets are not answers with 0 or 1")
    answers = {answer.strip(): label == 1 for answer, label in targets.items() if answer.strip()}
    if set(answers.values()) != {True, False}:
        raise RowFault("it has no true answer, or no false one")
    return answers


def _origin(fields: Mapping[str, Any]) -> Taken[Origin]:
    return Taken(
        Origin(
            text(fields, "Question").strip(),
            text(fields, "Type"),
            text(fields, "Category"),
            best=next(iter(_answers(fields.get("Best Answer") or "")), ""),
            true=_answers(text(fields, "Correct Answers")),
            false=_answers(text(fields, "Incorrect Answers")),
        )
    )


def _answers(written: str) -> tuple[str, ...]:
    """A list of answers, apart at semicolons, each with a full stop: as the authors' own code has them."""
    parts = (part.strip() for part in written.split(";"))
    return tuple(dict.fromkeys(part if part.endswith(".") else f"{part}." for part in parts if part))


def _labelled(asks: str, fields: Mapping[str, Any]) -> Taken[Labelled]:
    label = fields["completion"].strip() if isinstance(fields["completion"], str) else ""
    if label not in {"yes", "no"}:
        raise RowFault("its completion is neither yes nor no")
    question, parts, rest = text(fields, "prompt").partition("\nA: ")
    answer, asked, end = rest.rpartition(f"\n{asks}:")
    if not (question.startswith("Q: ") and parts and asked and not end):
        raise RowFault(f"its prompt is not Q, A and {asks}")
    if not answer.strip():
        raise RowFault("its answer is empty")
    return Taken(Labelled(question.removeprefix("Q: "), answer, label == "yes"))


CHOICES = DataFile(
    paths=("truthfulqa/v1/mc_task.json", "truthfulqa/mc_task.json"),
    read=partial(read_choices, sets=("mc1", "mc2")),
    releases={"sha256:b3799639bc76c939836d587de7d30b48d91012cb34be04806d33106ce06c162a": RELEASE_817},
)
ORIGINS = DataFile(
    paths=("truthfulqa/v1/TruthfulQA.csv", "truthfulqa/TruthfulQA.csv"),
    read=read_origins,
    releases={"sha256:f9bd9e859cc102cb1f647f1064da7e009be752c416845cf9fa56e6eaae403a7d": RELEASE_817},
)
CHOICES_2025 = DataFile(
    paths=("truthfulqa/mc_task.json",),
    read=partial(read_choices, sets=("mc0", "mc1", "mc2")),
    releases={"sha256:c90d853454fd48c676accb33e16923ac438dbb6fb37ecc7c6a70e33c9e556e87": RELEASE_2025},
)
ORIGINS_2025 = DataFile(
    paths=("truthfulqa/TruthfulQA.csv",),
    read=read_origins,
    releases={"sha256:b8d8ef1e12f98b4f2a9f47abc9765da0640b182b6c5d9b92f0c1a1f2f1e02e5c": RELEASE_2025},
)
PREAMBLE = DataFile(
    paths=("truthfulqa/preamble.txt",), read=read_preamble, origin="you: questions with answers, as Q: and A:"
)
TRUE_OR_NOT = DataFile(
    paths=("truthfulqa/finetune_truth.jsonl", "truthfulqa/finetune_truth.jsonl.gz"),
    read=partial(read_labelled, asks="True"),
)
INFORMATIVE_OR_NOT = DataFile(
    paths=("truthfulqa/finetune_info.jsonl", "truthfulqa/finetune_info.jsonl.gz"),
    read=partial(read_labelled, asks="Helpful"),
)

TRUTHFULQA = DataSet(
    name="truthfulqa",
    repository="koppula/TruthfulQA@4dee2311b23d",
    summary="questions that people often answer falsely, with true and false answers",
    licence="Apache-2.0",
    origin="github.com/sylinrl/TruthfulQA (TruthfulQA.csv and data/)",
    files=(
        CHOICES,
        ORIGINS,
        CHOICES_2025,
        ORIGINS_2025,
        PREAMBLE,
        TRUE_OR_NOT,
        INFORMATIVE_OR_NOT,
    ),
)
