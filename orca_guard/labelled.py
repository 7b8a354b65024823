"""Texts that people have labelled: what a guard should stop and what not, a JSON object a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from orca_guard.errors import BadInput
from orca_guard.identity import digest_of, digest_text
from orca_guard.operating import Rows
from orca_guard.splits import Part, normalised, part
from orca_guard.types import Document, Exhibit, Message, Question, Stage

NO_QUESTION = "Is there anything to say?"
"""Asked where a row holds no prompt: most guards look at the text alone."""


class Labelled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row.

    Attributes:
        text: that people have looked at.
        label: whether a guard should find it.
        prompt: the question that it answers, where it is an answer.
        context: the documents that it should rest on.
        group: what figures are broken down by, such as whom it speaks of.
        set: the published set that it is from, where there are several; a threshold counts them alike, and each has
            its own evidence.
        origin: the text that it was cut from, where it is a part of one: it stays with the other parts.
    """

    text: str
    label: bool
    prompt: str = ""
    context: tuple[str, ...] = ()
    group: str = ""
    set: str = ""
    origin: str = ""

    def exhibit(self, stage: Stage) -> Exhibit:
        """The row as a guard is shown it."""
        question = Question(
            messages=(Message("user", self.prompt or NO_QUESTION),), documents=tuple(map(Document, self.context))
        )
        return Exhibit(text=self.text, stage=stage, part="user" if stage == "input" else "answer", question=question)

    @property
    def part(self) -> Part:
        """Train, dev or report; rows on one passage, or cut from one text, stay together."""
        return part(self._whole)

    @property
    def cluster(self) -> str:
        """Rows of one text, cut from one, or on one passage, are not independent."""
        return digest_text(normalised(self._whole))

    @property
    def _whole(self) -> str:
        return "\n".join(self.context) or self.origin or self.text


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Rows under a name."""

    name: str
    rows: tuple[Labelled, ...]


def read(paths: Sequence[Path]) -> LabelledSet:
    """The rows of some files, in order.

    Raises:
        BadInput: a file cannot be read, or a line of it is no labelled row; the line is named. Or there is no row.
    """
    rows = tuple(row for path in paths for row in _rows(path))
    if not rows:
        raise BadInput(f"{' and '.join(map(str, paths))}: there is no labelled row in it")
    return LabelledSet("+".join(path.name for path in paths), rows)


def _rows(path: Path) -> Iterable[Labelled]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadInput(f"cannot read the labelled rows {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield msgspec.json.decode(line, type=Labelled)
            except msgspec.MsgspecError as error:
                raise BadInput(
                    f"{path}, line {number} is no labelled row: {error}. A row is an object with text and label (true "
                    "or false), and perhaps prompt, context (a list), group, set and origin."
                ) from error


def told(rows: Sequence[Labelled]) -> Rows:
    """How many rows there are, and the digest that says which."""
    digests = sorted(digest_of([row.text, row.label, row.prompt, list(row.context)]) for row in rows)
    return Rows(digest=digest_of(digests), n=len(rows), hits=sum(row.label for row in rows))
