"""JSONL rows: questions in, answers out, and an answer file that a killed run can go on with."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from io import FileIO
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from orca_guard.errors import BadInput, ConfigurationChanged, ExitCode
from orca_guard.identity import canonical, differences, digest_of, digest_text
from orca_guard.types import Action, Answer, AnswerForm, Document, Message, Pass, Question, Verdict

KEYS = ("id", "prompt", "messages", "context", "choices", "form")
FORMS: tuple[AnswerForm, ...] = ("free", "letter", "number", "span")


# --- questions in ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a question file: a question, or what is wrong with it."""

    id: str
    question: Question | None
    error: str = ""

    @property
    def digest(self) -> str:
        """Of everything the question says, so that an edited row is not taken for the old one."""
        return digest_of(asdict(self.question)) if self.question else digest_text(self.error)


def read_questions(path: Path) -> list[Row]:
    """Every row of a file; a bad one carries its error.

    Raises:
        BadInput: the file cannot be read, or holds nothing.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    rows = [_row(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise BadInput(f"{path} holds no rows")
    return _unique(rows)


def _row(line: bytes, number: int) -> Row:
    name = f"line {number}"
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict):
            return Row(name, None, f"line {number}: not an object")
        name = _name(fields.get("id", number))
        return Row(name, question_of(fields, id=name))
    except (ValueError, RecursionError) as error:
        return Row(name, None, f"line {number}: not valid JSON: {error}")
    except BadInput as error:
        return Row(name, None, f"line {number}: {error}")


def _name(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadInput(f"id is a text or a number, not {type(value).__name__}")
    return _text(str(value), "id")


def _unique(rows: list[Row]) -> list[Row]:
    seen: set[str] = set()
    unique = []
    for n, row in enumerate(rows, 1):
        if row.id in seen:
            unique.append(Row(f"{row.id} (row {n})", None, f"id {row.id!r} stands twice in the file"))
        else:
            unique.append(row)
        seen.add(row.id)
    return unique


def question_of(fields: Mapping[str, Any], *, id: str) -> Question:
    """The question in a row.

    Raises:
        BadInput: neither or both of `prompt` and `messages`, a wrong type, a key that looks like a misspelt one.
    """
    for key in fields:
        close = get_close_matches(key, KEYS, n=1, cutoff=0.7)
        if key not in KEYS and close:
            raise BadInput(f"unknown key {key!r}: did you mean {close[0]!r}?")
    if ("prompt" in fields) == ("messages" in fields):
        raise BadInput("a row has either a prompt or messages")
    form = fields.get("form", "free")
    if form not in FORMS:
        raise BadInput(f"form is one of {', '.join(FORMS)}, not {form!r}")
    return Question(
        messages=_messages(fields),
        documents=tuple(Document(text) for text in _texts(fields, "context")),
        choices=tuple(_texts(fields, "choices")),
        form=form,
        id=id,
    )


def _messages(fields: Mapping[str, Any]) -> tuple[Message, ...]:
    if "prompt" in fields:
        return (Message("user", _text(fields["prompt"], "prompt")),)
    turns = fields["messages"]
    if not isinstance(turns, list) or not turns:
        raise BadInput("messages is a list of turns")
    return tuple(_message(turn) for turn in turns)


def _message(turn: Any) -> Message:
    if not isinstance(turn, dict) or turn.get("role") not in ("system", "user", "assistant"):
        raise BadInput("a turn has a role (system, user or assistant) and a content")
    return Message(turn["role"], _text(turn.get("content"), "content"))


def _texts(fields: Mapping[str, Any], key: str) -> list[str]:
    value = fields.get(key, [])
    if isinstance(value, str):
        return [_text(value, key)] if value else []
    if not isinstance(value, list):
        raise BadInput(f"{key} is a text or a list of texts")
    return [_text(item, key) for item in value]


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{key} is a text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{key} holds half a character at {error.start}") from error
    return value


# --- answers out -------------------------------------------------------------------------------


def answer_row(answer: Answer, *, trace: bool = False) -> dict[str, Any]:
    """An answer as one JSON object."""
    row: dict[str, Any] = {
        "id": answer.id,
        "action": answer.action.value,
        "final": answer.final,
        "text": answer.text,
        "strategy": answer.strategy,
        "outcome": answer.outcome.value if answer.outcome else None,
        "value": answer.value,
        "form": answer.form,
        "reason": answer.reason,
        "error": answer.error,
        "verdicts": [verdict_row(verdict) for verdict in answer.verdicts],
        "tokens": {"prompt": answer.tokens[0], "new": answer.tokens[1]},
        "seconds": round(answer.seconds, 4),
        "pipeline": answer.pipeline,
        "warnings": list(answer.warnings),
    }
    return row | {"passes": [_pass_row(p) for p in answer.passes]} if trace else row


def verdict_row(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a JSON object, without what it does not have."""
    row = {
        "guard": verdict.guard,
        "stage": verdict.stage,
        "part": verdict.part,
        "action": verdict.action.value,
        "score": verdict.score,
        "threshold": verdict.threshold,
        "reason": verdict.reason or None,
        "on_error": verdict.on_error.value if verdict.on_error else None,
        "ms": round(verdict.seconds * 1000, 3),
    }
    return {key: value for key, value in row.items() if value is not None}


def _pass_row(step: Pass) -> dict[str, Any]:
    return {
        "name": step.name,
        "strategy": step.strategy,
        "messages": [asdict(message) for message in step.messages],
        **asdict(step.generation),
    }


def decision_row(answer: Answer, question: Question, *, texts: bool = False) -> dict[str, Any]:
    """An answer as a line of a decision log: digests, verdicts, tokens, time; texts only when asked."""
    prompt = canonical([[m.role, m.content] for m in question.messages]).decode()
    row = answer_row(answer)
    for key in ("final", "text", "value", "form", "seconds"):
        del row[key]
    row |= {"question": digest_text(prompt), "answer": digest_text(answer.text), "ms": round(answer.seconds * 1000, 1)}
    return row | {"messages": [asdict(m) for m in question.messages], "text": answer.text} if texts else row


def refused_row(row: Row, *, pipeline: str) -> Answer:
    """The answer to a row that holds no question."""
    return Answer(id=row.id, action=Action.ERROR, error=row.error, error_code=ExitCode.USAGE, pipeline=pipeline)


@contextmanager
def taken(path: Path, lock: FileLock) -> Iterator[None]:
    """Keep a file for this process, for as long as the lock is held; where what is done first with it fails, let go.

    Raises:
        BadInput: it cannot be written, or another process holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()  # a place that cannot be written is told as that, not as one in use
        lock.acquire()
    except Timeout:
        raise BadInput(f"another process is writing {path}") from None
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
    try:
        yield
    except OSError as error:
        lock.release()
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
    except BaseException:
        lock.release()
        raise


class AnswerFile:
    """Answers, a line each, with the pipeline they come from in a file beside it.

    Opening it drops nothing but a torn last line. A row is done when the last line with its id is a decision on the
    question as it now is; an error is no decision. What is answered again replaces its old line when the file is
    closed, and answers to questions of another file stay.

    Raises:
        ConfigurationChanged: the answers there come from another pipeline.
        BadInput: it cannot be written, is in use, or is a file of something else.
    """

    def __init__(self, path: Path, rows: list[Row], *, identity: Mapping[str, Any], digest: str) -> None:
        self.path = path
        self._rows = {row.id: row.digest for row in rows}
        self._identity = identity
        self._digest = digest
        self._beside = path.with_name(f"{path.name}.pipeline.json")
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        self._file: FileIO | None = None
        self._stored: set[str] = set()
        self._replaced = False
        self.done: set[str] = set()
        self.again = 0

    def __enter__(self) -> Self:
        with taken(self.path, self._lock):
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._file:
                self._file.close()
            if self._replaced:
                with suppress(OSError):  # it is done at the next opening
                    self._compact()
        finally:
            self._lock.release()

    def _open(self) -> None:
        if self.path.stat().st_size:
            self._check_pipeline()
            self._read(self._compact())
        stored = {"digest": self._digest, "identity": self._identity}
        replace_whole(self._beside, json.dumps(stored, indent=1, ensure_ascii=False).encode())
        self._file = FileIO(self.path, "ab")

    def _check_pipeline(self) -> None:
        try:
            stored = json.loads(self._beside.read_bytes())
            digest, identity = stored["digest"], stored["identity"]
        except (OSError, ValueError, KeyError, TypeError):
            raise BadInput(
                f"{self.path} exists, and {self._beside.name} does not say which pipeline made it. "
                "Choose another --out, or remove the file."
            ) from None
        if digest != self._digest:
            raise ConfigurationChanged(
                f"{self.path} holds answers of another pipeline. Choose another --out, or go back. What changed:",
                differences(identity, json.loads(json.dumps(self._identity))),
            )

    def _compact(self) -> dict[str, dict[str, Any]]:
        """The last row of every id; the file is left with these alone, each as it stands."""
        data = self.path.read_bytes()
        rows: dict[str, dict[str, Any]] = {}
        lines: dict[str, bytes] = {}
        for line in data.split(b"\n"):
            if (row := _decoded(line)) is not None:
                name = row["id"]
                rows[name] = row
                lines.pop(name, None)
                lines[name] = line + b"\n"
        kept = b"".join(lines.values())
        if kept != data:
            replace_whole(self.path, kept)
        return rows

    def _read(self, stored: Mapping[str, Mapping[str, Any]]) -> None:
        self._stored = set(stored)
        for name, row in stored.items():
            if name not in self._rows or row["action"] == Action.ERROR or row.get("error"):
                continue
            if row["question"] == self._rows[name]:
                self.done.add(name)
            else:
                self.again += 1

    def write(self, answer: Answer) -> None:
        """Append a row; when this returns it is on disk."""
        assert self._file is not None, "the answer file is open"
        row = answer_row(answer) | {"question": self._rows[answer.id]}
        try:
            append(self._file, json.dumps(row, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise BadInput(
                f"cannot write {self.path}: {error.strerror}. What is there is safe: "
                "make room and run the same command again to go on."
            ) from error
        self._replaced |= answer.id in self._stored
        self._stored.add(answer.id)


def _decoded(line: bytes) -> dict[str, Any] | None:
    """A whole row of an answer file; None for what is torn or something else."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(row, dict) and isinstance(row.get("id"), str) and {"question", "action"} <= row.keys()
    return row if whole else None


def append(file: FileIO, line: bytes) -> None:
    """Write a line and wait until it is on disk. Unbuffered, so that nothing is left to fail when it is closed."""
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def replace_whole(path: Path, data: bytes) -> None:
    """Put a file in place whole, or leave the old one as it is."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def pending(rows: list[Row], done: set[str]) -> Iterator[Row]:
    """The rows that still want an answer."""
    return (row for row in rows if row.id not in done)
