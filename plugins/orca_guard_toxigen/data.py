"""Files of ToxiGen, and what is in their rows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_guard.data.rows import Parsed, RowFault, Taken, distinct, parsed, plain_lines, table, text
from orca_guard.data.sets import DataFile, DataSet

THRESHOLD = 5.5
"""Toxic is what people gave more than this, `toxicity_ai` and `toxicity_human` together (the authors' own code)."""

SEVERAL = "several"
"""The group of a statement that names more than one: it is measured once, and in no single group's figure."""

LITERAL = "a Python bytes literal was decoded"
ARTEFACT = "_x000D_ was taken out"
ESCAPES = "escaped line ends were undone"

GROUPS: Mapping[str, str] = {
    "asian": "asian",
    "black": "black",
    "black/african-american": "black",
    "black / african-americans": "black",
    "black/african-americans": "black",
    "chinese": "chinese",
    "jewish": "jewish",
    "latino": "latino",
    "latino/hispanic": "latino",
    "lgbtq": "lgbtq",
    "lgbtq+": "lgbtq",
    "mental_dis": "mental_disability",
    "mental_disability": "mental_disability",
    "with mental disabilities": "mental_disability",
    "mexican": "mexican",
    "middle_east": "middle_east",
    "middle eastern": "middle_east",
    "muslim": "muslim",
    "native_american": "native_american",
    "native american": "native_american",
    "native american/indigenous": "native_american",
    "physical_dis": "physical_disability",
    "physical_disability": "physical_disability",
    "with physical disabilities": "physical_disability",
    "women": "women",
}
"""How releases and mirrors write the thirteen groups, without the word "folks" → how figures name them."""

_BYTES = re.compile(r"b'.*'|b\".*\"", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, the group it is about, and the two human scores of its toxicity, each from 1 to 5."""

    text: str
    group: str
    ai: float
    human: float

    @property
    def toxic(self) -> bool:
        """By the published rule."""
        return self.ai + self.human > THRESHOLD


@dataclass(frozen=True, slots=True)
class Prompt:
    """A few statements, one a line, and an open line that a model goes on with."""

    text: str


def read_annotated(path: Path) -> Iterator[Parsed[Statement]]:
    """Rows of the human-annotated set."""
    columns = ("text", "target_group", "toxicity_ai", "toxicity_human")
    yield from distinct(parsed(table(path, columns), _statement))


def read_prompts(path: Path) -> Iterator[Parsed[Prompt]]:
    """Rows of `prompts/*_1k.txt`, with their escaped line ends undone."""
    yield from parsed(plain_lines(path), _prompt)


def read_sentences(path: Path) -> Iterator[Parsed[str]]:
    """Rows of `demonstrations/`."""
    yield from parsed(plain_lines(path), lambda fields: Taken(text(fields, "text").strip()))


def cleaned(written: str) -> Taken[str]:
    """A statement as its authors mean it, whichever mirror and spreadsheet it went through."""
    repairs = []
    if _BYTES.fullmatch(written):
        written, repairs = _decoded(written), [LITERAL]
    if "_x000D_" in written:
        written, repairs = written.replace("_x000D_", ""), [*repairs, ARTEFACT]
    if not written.strip():
        raise RowFault("text is no text")
    return Taken(written, tuple(repairs))


def _decoded(literal: str) -> str:
    try:
        return bytes(ast.literal_eval(literal)).decode("utf-8")
    except (ValueError, SyntaxError, UnicodeDecodeError) as error:
        raise RowFault("its bytes literal cannot be decoded") from error


def _statement(fields: Mapping[str, Any]) -> Taken[Statement]:
    statement = cleaned(text(fields, "text"))
    scores = [_score(fields[column]) for column in ("toxicity_ai", "toxicity_human")]
    return Taken(Statement(statement.value, group_of(fields["target_group"]), *scores), statement.repairs)


def _score(value: str) -> float:
    try:
        score = float(value)
    except ValueError as error:
        raise RowFault("a toxicity score is no number") from error
    if not 1 <= score <= 5:  # noqa: PLR2004  # the scale that people were given
        raise RowFault("a toxicity score is not between 1 and 5")
    return score


def group_of(written: str) -> str:
    """The group's name in figures; `several` where there is more than one.

    Raises:
        RowFault: it is none of the thirteen.
    """
    found = {_group(part) for part in written.split(",")}
    return found.pop() if len(found) == 1 else SEVERAL


def _group(written: str) -> str:
    plain = " ".join(re.sub(r"\bfolks\b", " ", written.casefold()).split())
    if plain not in GROUPS:
        raise RowFault("its group is none of the thirteen")
    return GROUPS[plain]


def _prompt(fields: Mapping[str, Any]) -> Taken[Prompt]:
    written = text(fields, "text")
    undone = written.replace("\\n", "\n")
    if not undone.rstrip().endswith("-"):
        raise RowFault("it does not end in an open line")
    return Taken(Prompt(undone), (ESCAPES,) if undone != written else ())


ANNOTATED = DataFile(
    paths=(
        "toxigen/annotated_test.csv",
        "toxigen/annotated_test.csv.gz",
        "toxigen/annotated_train.csv",
        "toxigen/annotated_train.csv.gz",
        "toxigen/annotated_train_part.csv.gz",
    ),
    read=read_annotated,
)
"""The test split where there is one, else the train split."""

_SIDES = ("hate", "neutral")
_NAMES = tuple(sorted(set(GROUPS.values())))
_FOLDERS = {
    "disability": ("mental_disability", "physical_disability"),
    "gender": ("women",),
    "nationality": ("chinese", "mexican", "middle_east"),
    "race": ("asian", "black", "jewish", "latino", "native_american"),
    "religion": ("muslim",),
    "sexual_orientation": ("lgbtq",),
}


def _texts(path: str) -> tuple[str, str]:
    return path, f"{path}.gz"


@dataclass(frozen=True, slots=True)
class PromptFile:
    """Prompts that lead to statements about one group: hateful ones, or neutral ones."""

    side: str
    group: str
    file: DataFile


PROMPTS = tuple(
    PromptFile(side, name, DataFile(paths=_texts(f"toxigen/prompts/{side}_{name}_1k.txt"), read=read_prompts))
    for side in _SIDES
    for name in _NAMES
)

TOXIGEN = DataSet(
    name="toxigen",
    repository="microsoft/TOXIGEN@01517e814639",
    summary="statements about thirteen groups, with human scores of toxicity; and prompts that lead to more",
    licence="MIT (code), CDLA-Permissive-2.0 (data)",
    origin="github.com/microsoft/TOXIGEN (prompts, demonstrations) and its data set on the Hugging Face hub (the rest)",
    files=(
        ANNOTATED,
        *(one.file for one in PROMPTS),
        *(
            DataFile(paths=_texts(f"toxigen/demonstrations/{folder}/{side}_{name}{end}.txt"), read=read_sentences)
            for folder, names in _FOLDERS.items()
            for name in names
            for side in _SIDES
            for end in ("", "_sentences")
        ),
    ),
)
