"""Files of ACI-BENCH, QMSum and MS MARCO: what is asked of which text, and what people answered."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from orca_guard.data.rows import Parsed, Row, RowFault, Taken, json_lines, parsed, table, text
from orca_guard.data.sets import DataFile, DataSet
from orca_guard.errors import BadInput
from orca_guard.items import Rejected, id_of

LARGEST_COLUMNS = 1 << 30
"""Bytes of MS MARCO's file of columns, unpacked: it is one JSON object, and is read as a whole."""

NO_ANSWER = "No Answer Present."
"""What MS MARCO writes where nobody could answer from the passages."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question about texts, and the answers that were published.

    Attributes:
        id: as published, or made of its place.
        source: what it stands in: an encounter, a meeting, a query.
        kind: of the question, where there are several.
        question: as published; empty where the set has no words for it.
        texts: that the answer has to rest on.
        spans: the parts of them that people marked as what bears on it.
        answers: at least one.
    """

    id: str
    source: str
    kind: str
    question: str
    texts: tuple[str, ...]
    answers: tuple[str, ...]
    spans: tuple[str, ...] = ()


# --- ACI-BENCH -----------------------------------------------------------------------------------


def read_encounters(path: Path) -> Iterator[Parsed[Task]]:
    """Rows of `train.csv`, `valid.csv`, `clinicalnlp_taskB_test1.csv` and so on."""
    yield from _once(path, parsed(table(path, ("dataset", "encounter_id", "dialogue", "note")), _encounter))


def _encounter(fields: Mapping[str, Any]) -> Taken[Task]:
    name = text(fields, "encounter_id")
    return Taken(Task(name, name, fields["dataset"], "", (text(fields, "dialogue"),), (text(fields, "note"),)))


def read_metadata(path: Path) -> Iterator[Parsed[str]]:
    """Rows of `…_metadata.csv`: whose encounter it was. No benchmark uses them."""
    columns = ("dataset", "encounter_id", "patient_gender", "patient_age")
    yield from parsed(table(path, columns), lambda fields: Taken(text(fields, "encounter_id")))


def _once(path: Path, rows: Iterable[Parsed[Task]]) -> Iterator[Parsed[Task]]:
    seen = set()
    for row in rows:
        if isinstance(row, Taken):
            if row.value.id in seen:
                raise BadInput(f"{path}: two rows have the id {row.value.id!r}")
            seen.add(row.value.id)
        yield row


# --- QMSum ---------------------------------------------------------------------------------------


def read_meetings(path: Path) -> Iterator[Parsed[tuple[Task, ...]]]:
    """Rows of `val.jsonl` and so on: a meeting each, with a task a query."""
    columns = ("topic_list", "general_query_list", "specific_query_list", "meeting_transcripts")
    for row in json_lines(path, columns):
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            yield Taken(tuple(_queries(row)))
        except RowFault as fault:
            yield Rejected(row.number, str(fault))


def _queries(row: Row) -> Iterator[Task]:
    turns = [_turn(turn) for turn in _list(row.fields, "meeting_transcripts")]
    if not turns:
        raise RowFault("its meeting has no turn")
    transcript = "\n".join(turns)
    meeting = id_of(transcript)
    for kind in ("general", "specific"):
        for query in _list(row.fields, f"{kind}_query_list"):
            yield Task(
                id=id_of(kind, str(query.get("query")), str(query.get("answer")), transcript),
                source=meeting,
                kind=kind,
                question=_of(query, "query"),
                texts=(transcript,),
                answers=(_of(query, "answer"),),
                spans=tuple(_marked(turns, query.get("relevant_text_span") or [])),
            )


def _list(fields: Mapping[str, Any], column: str) -> list[Any]:
    value = fields[column]
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise RowFault(f"its {column} is no list of objects")
    return value


def _of(query: Mapping[str, Any], key: str) -> str:
    value = query.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RowFault(f"a query of it has no {key}")
    return value


def _turn(turn: Mapping[str, Any]) -> str:
    speaker, content = turn.get("speaker"), turn.get("content")
    if not isinstance(speaker, str) or not isinstance(content, str):
        raise RowFault("a turn of it has no speaker or no content")
    return f"{speaker}: {content}"


def _marked(turns: Sequence[str], spans: Any) -> Iterator[str]:
    """Turns `[first, last]`, both counted, as the authors mark them by the turns' numbers."""
    try:
        for first, last in spans:
            yield "\n".join(turns[int(first) : int(last) + 1])
    except (TypeError, ValueError) as error:
        raise RowFault("its relevant_text_span is no pair of turns") from error


# --- MS MARCO ------------------------------------------------------------------------------------

_COLUMNS = ("answers", "passages", "query", "query_id")


class _Columns(msgspec.Struct, frozen=True):
    """Version 2.1 as published: of every column an object, row → value."""

    answers: dict[str, Any]
    passages: dict[str, Any]
    query: dict[str, Any]
    query_id: dict[str, Any]


def read_queries(path: Path) -> Iterator[Parsed[Task]]:
    """Rows of MS MARCO: columns in one JSON object (version 2.1), or an object a line (version 1.1)."""
    yield from _once(path, parsed(_columns(path) or json_lines(path, _COLUMNS), _query))


def _columns(path: Path) -> Iterator[Row] | None:
    """The rows of a file of columns; None where it is none."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            head = stream.read(4096)
            if b"\n{" in head or not _is_columns(head):
                return None
            data = head + stream.read(LARGEST_COLUMNS - len(head) + 1)
    except (OSError, EOFError) as error:
        raise BadInput(f"{path}: it cannot be read or unpacked: {error}; copy it again") from error
    if len(data) > LARGEST_COLUMNS:
        raise BadInput(f"{path}: longer than {LARGEST_COLUMNS} bytes; this is not the published file")
    try:
        found = msgspec.json.decode(data, type=_Columns)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path}: not MS MARCO's columns: {error}. This is not the published file.") from error
    keys = found.query_id.keys()
    if any(column.keys() != keys for column in (found.answers, found.passages, found.query)):
        raise BadInput(f"{path}: its columns have different rows; this is not the published file")
    return (
        Row(
            number,
            {
                "answers": found.answers[key],
                "passages": found.passages[key],
                "query": found.query[key],
                "query_id": found.query_id[key],
            },
        )
        for number, key in enumerate(keys, 1)
    )


def _is_columns(head: bytes) -> bool:
    """Whether the first value of a JSON object is itself an object: a row begins with a list or a text."""
    value = head.lstrip().removeprefix(b"{").partition(b":")[2].lstrip()
    return value.startswith(b"{")


def _query(fields: Mapping[str, Any]) -> Taken[Task]:
    answers = fields["answers"]
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise RowFault("its answers are no list of texts")
    told = tuple(answer for answer in answers if answer.strip() and answer.strip() != NO_ANSWER)
    if not told:
        raise RowFault("it has no answer")
    passages = fields["passages"]
    if not isinstance(passages, list) or not passages:
        raise RowFault("it has no passages")
    try:
        texts = tuple(str(passage["passage_text"]) for passage in passages)
        chosen = tuple(str(passage["passage_text"]) for passage in passages if passage.get("is_selected"))
    except (TypeError, KeyError, AttributeError) as error:
        raise RowFault("a passage of it has no passage_text") from error
    name = str(fields["query_id"])
    return Taken(Task(name, name, str(fields.get("query_type", "")), text(fields, "query"), texts, told, chosen))


@dataclass(frozen=True, slots=True)
class Reference:
    """Answers by the id of their query: reference answers, or candidates to be held against them."""

    id: str
    answers: tuple[str, ...]


def read_references(path: Path) -> Iterator[Parsed[Reference]]:
    """Rows of the evaluation sample, which has neither queries nor passages."""
    yield from parsed(json_lines(path, ("answers", "query_id")), _reference)


def _reference(fields: Mapping[str, Any]) -> Taken[Reference]:
    answers = fields["answers"]
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise RowFault("its answers are no list of texts")
    if not any(map(str.strip, answers)):
        raise RowFault("it has no answer")
    return Taken(Reference(str(fields["query_id"]), tuple(answers)))


# --- the sets ------------------------------------------------------------------------------------


def _files(folder: str, names: Iterable[str], read: Any) -> tuple[DataFile, ...]:
    return tuple(DataFile(paths=(f"{folder}/{name}", f"{folder}/{name}.gz"), read=read) for name in names)


_TESTS = ("clinicalnlp_taskB_test1", "clinicalnlp_taskC_test2", "clef_taskC_test3")

ENCOUNTERS = _files("aci_bench", ("valid.csv", *(f"{name}.csv" for name in _TESTS)), read_encounters)
"""Validation and the three tests; the training part is no part of the benchmark."""

ACI_BENCH = DataSet(
    name="aci_bench",
    summary="dialogues of doctor and patient, with the clinical note",
    licence="CC-BY-4.0",
    origin="github.com/wyim/aci-bench",
    files=(
        *ENCOUNTERS,
        *_files("aci_bench", ("train.csv",), read_encounters),
        *_files("aci_bench", (f"{name}_metadata.csv" for name in ("train", "valid", *_TESTS)), read_metadata),
    ),
)

MEETINGS = _files("qmsum", ("val.jsonl", "test.jsonl"), read_meetings)

QMSUM = DataSet(
    name="qmsum",
    summary="transcripts of meetings, with queries and summaries that answer them",
    licence="MIT",
    origin="github.com/Yale-LILY/QMSum",
    files=(*MEETINGS, *_files("qmsum", ("train.jsonl",), read_meetings)),
)

QUERIES = (
    DataFile(
        paths=(
            "ms_marco/dev_v2.1.json",
            "ms_marco/dev_v2.1.json.gz",
            "ms_marco/dev_v1.1.json",
            "ms_marco/dev_v1.1.json.gz",
        ),
        read=read_queries,
    ),
)
MS_MARCO = DataSet(
    name="ms_marco",
    summary="queries with ten passages each and answers that people wrote from them",
    licence="Microsoft's terms: non-commercial research",
    origin="microsoft.github.io/msmarco",
    files=(
        *QUERIES,
        *_files(
            "msmarco_qa_eval", ("dev_as_references.json", "dev_first_sentence_as_candidates.json"), read_references
        ),
    ),
)
