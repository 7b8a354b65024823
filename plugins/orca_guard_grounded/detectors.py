"""Answers that people have labelled, with what they should rest on: RAGTruth, FaithBench, BEGIN, FActScore, HaluEval 2.

Each reader says of every row what its label means, or why it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orca_guard.data.rows import Parsed, RowFault, Taken, json_array, json_lines, parsed, table, text
from orca_guard.data.sets import DataFile, DataSet, values
from orca_guard.items import Rejected
from orca_guard.labelled import Labelled

Labels = tuple[Labelled, ...]
"""Of one row: an answer, or each of the facts that it was taken apart into."""

# --- RAGTruth ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Response:
    """A row of `response.jsonl`: it names its source and does not hold it."""

    source: str
    text: str
    model: str
    made_up: bool


def read_responses(path: Path) -> Iterator[Parsed[Response]]:
    """Rows of `response.jsonl`."""
    columns = ("id", "source_id", "model", "labels", "quality", "response")
    yield from parsed(json_lines(path, columns), _response)


def _response(fields: Mapping[str, Any]) -> Taken[Response]:
    if not isinstance(fields["labels"], list):
        raise RowFault("its labels are no list of spans")
    if fields["quality"] != "good":
        raise RowFault("its answer is cut off or a refusal, as its quality says")
    return Taken(
        Response(str(fields["source_id"]), text(fields, "response"), str(fields["model"]), bool(fields["labels"]))
    )


@dataclass(frozen=True, slots=True)
class Source:
    """A row of `source_info.jsonl`."""

    id: str
    text: str
    question: str


def read_sources(path: Path) -> Iterator[Parsed[Source]]:
    """Rows of `source_info.jsonl`: an article, structured data as JSON, or a question with its passages."""
    yield from parsed(json_lines(path, ("source_id", "task_type", "source_info", "prompt")), _source)


def _source(fields: Mapping[str, Any]) -> Taken[Source]:
    info, name = fields["source_info"], str(fields["source_id"])
    if isinstance(info, str) and info.strip():
        return Taken(Source(name, info, ""))
    if isinstance(info, dict) and isinstance(info.get("passages"), str):
        return Taken(Source(name, info["passages"], str(info.get("question", ""))))
    if isinstance(info, dict) and info:
        import json  # noqa: PLC0415  # structured data alone

        return Taken(Source(name, json.dumps(info, ensure_ascii=False), ""))
    raise RowFault("its source_info is empty")


def read_answers(path: Path) -> Iterator[Parsed[Labels]]:
    """Rows of `qa_test_qcnli.jsonl`: answers with their passages; made up where a span of them is marked."""
    yield from parsed(json_lines(path, ("d1", "d2", "query", "labels", "model", "quality")), _answer)


def _answer(fields: Mapping[str, Any]) -> Taken[Labels]:
    if not isinstance(fields["labels"], list):
        raise RowFault("its labels are no list of spans")
    return Taken(
        (
            Labelled(
                text=text(fields, "d2"),
                label=bool(fields["labels"]),
                prompt=text(fields, "query"),
                context=(text(fields, "d1"),),
                group=str(fields["model"]),
            ),
        )
    )


# --- FaithBench ----------------------------------------------------------------------------------


def read_summaries(path: Path) -> Iterator[Parsed[Labels]]:
    """Rows of `batch_N.json`: summaries by the worst label that anybody gave a part of them."""
    columns = ("source", "summary", "annotations", "metadata")
    yield from parsed(json_array(path, columns, within="samples"), _summary)


def _summary(fields: Mapping[str, Any]) -> Taken[Labels]:
    """Unwanted in one part is made up; benign or none is not; questionable is what people could not say."""
    try:
        given = {str(label).partition(".")[0] for one in fields["annotations"] for label in one["label"]}
        model = str(fields["metadata"].get("summarizer", ""))
    except (TypeError, KeyError, AttributeError) as error:
        raise RowFault("its annotations have no labels") from error
    if unknown := given - {"Unwanted", "Questionable", "Benign", "Consistent"}:
        raise RowFault(f"a label of it is none that is known: {min(unknown)}")
    if "Questionable" in given and "Unwanted" not in given:
        raise RowFault("its worst label is Questionable: people could not say")
    source = text(fields, "source")
    summary = text(fields, "summary").strip()
    return Taken((Labelled(text=summary, label="Unwanted" in given, prompt=SUMMARIZE, context=(source,), group=model),))


SUMMARIZE = "Summarize the text."
"""What a summary answers, in words of ours: the sets hold none."""

# --- BEGIN ---------------------------------------------------------------------------------------


def read_replies(path: Path) -> Iterator[Parsed[Labels]]:
    """Rows of `begin_dev_NAME.tsv`: replies not fully attributable to their knowledge against those that are."""
    columns = ("model_name", "data_source", "knowledge", "message", "response", "begin_label")
    yield from parsed(table(path, columns, separator="\t"), _reply)


def _reply(fields: Mapping[str, Any]) -> Taken[Labels]:
    labels = {"Fully attributable": False, "Not fully attributable": True}
    if fields["begin_label"] == "Generic":
        raise RowFault("it is Generic: it states nothing that could be held up")
    if fields["begin_label"] not in labels:
        raise RowFault("its begin_label is none of the three")
    return Taken(
        (
            Labelled(
                text=text(fields, "response"),
                label=labels[fields["begin_label"]],
                prompt=fields["message"],
                context=(text(fields, "knowledge"),),
                group=fields["data_source"],
            ),
        )
    )


# --- FActScore -----------------------------------------------------------------------------------


def read_biographies(path: Path) -> Iterator[Parsed[Labels]]:
    """Rows of `factscore_MODEL.json`: a person each, with the facts that a biography was taken apart into."""
    yield from parsed(json_lines(path, ("tuple1", "additional_notes")), _biography)


def _biography(fields: Mapping[str, Any]) -> Taken[Labels]:
    try:
        page = str(fields["tuple1"]["tuple"][0]).removeprefix("<s>").removesuffix("</s>").strip()
        pairs = [(str(q), *fact) for q, facts in fields["additional_notes"].items() for fact in facts]
        facts = [(question, str(fact), str(label)) for question, fact, label in pairs]
    except (TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
        raise RowFault("its facts or its page are not where they should be") from error
    if not page or not facts:
        raise RowFault("it has no fact, or no page")
    if any(label not in {"entailment", "contradiction"} or not fact.strip() for _, fact, label in facts):
        raise RowFault("a fact of it has neither of the two labels")
    return Taken(
        tuple(
            Labelled(text=fact, label=label == "contradiction", prompt=question, context=(page,))
            for question, fact, label in facts
        )
    )


# --- HaluEval 2 ----------------------------------------------------------------------------------


def read_judged(path: Path) -> Iterator[Parsed[Labels]]:
    """Rows of `human_annotation/DOMAIN.json`: facts of answers, called true or false by people. There is no source."""
    yield from _of_halueval(path, "human_judge")


def read_predicted(path: Path) -> Iterator[Parsed[Labels]]:
    """Rows of `model_prediction/DOMAIN.json`: the same facts as a model called them. No labels of people."""
    yield from _of_halueval(path, "chatgpt_judge")


def _of_halueval(path: Path, column: str) -> Iterator[Parsed[Labels]]:
    columns = ("id", "user_query", "chatgpt_response", "chatgpt_fact", column)
    yield from parsed(json_array(path, columns), lambda fields: _facts(fields, column, path.name.partition(".")[0]))


def _facts(fields: Mapping[str, Any], column: str, domain: str) -> Taken[Labels]:
    facts, judged = fields["chatgpt_fact"], fields[column]
    if not isinstance(facts, list) or not isinstance(judged, list):
        raise RowFault("its facts or their labels are no list")
    if len(facts) != len(judged):
        raise RowFault("it has another number of labels than of facts")
    told = [str(label).strip().casefold().partition(",")[0] for label in judged]
    if any(not any(word in label for word in ("true", "false", "unknown")) for label in told):
        raise RowFault("a fact of it is neither true nor false nor unknown")
    query = text(fields, "user_query")
    rows = tuple(
        Labelled(
            text=str(fact), label="false" in label, prompt=query, origin=str(fields["chatgpt_response"]), group=domain
        )
        for fact, label in zip(facts, told, strict=True)
        if "unknown" not in label and str(fact).strip()
    )
    repairs = ("a fact that is called unknown was left out",) if len(rows) < len(facts) else ()
    return Taken(rows, repairs)


# --- the sets ------------------------------------------------------------------------------------


def _file(*paths: str, read: Callable[[Path], Iterable[Parsed[Any]]]) -> DataFile:
    return DataFile(paths=paths, read=read)


RESPONSES = _file("ragtruth/response.jsonl", "ragtruth/response_sample50.jsonl", read=read_responses)
SOURCES = _file("ragtruth/source_info.jsonl", read=read_sources)
ANSWERS = _file("ragtruth/qa_test_qcnli.jsonl", read=read_answers)
SUMMARIES = tuple(_file(f"faithbench/batch_{n}.json", read=read_summaries) for n in range(1, 17))
REPLIES = tuple(
    _file(f"begin/begin_{part}_{name}.tsv", read=read_replies)
    for part in ("dev", "test")
    for name in ("wow", "cmu", "tc")
)
BIOGRAPHIES = tuple(
    _file(f"factscore/factscore_{name}.json.gz", f"factscore/factscore_{name}.json", read=read_biographies)
    for name in ("instructgpt", "chatgpt", "perplexityai")
)
DOMAINS = ("Bio-Medical", "Education", "Finance", "Open-Domain", "Science")
JUDGED = tuple(_file(f"halueval2/human_annotation/{name}.json", read=read_judged) for name in DOMAINS)
PREDICTED = tuple(_file(f"halueval2/model_prediction/{name}.json", read=read_predicted) for name in DOMAINS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledAnswers(DataSet):
    """A set whose rows are answers with labels of people.

    Attributes:
        labelled: those of its files whose rows are, or hold, labelled answers.
        grounded: whether its rows say what an answer should rest on.
    """

    labelled: tuple[DataFile, ...] = field(default=())
    grounded: bool = True

    def rows(self, data: Path) -> Iterator[Labelled | Rejected]:
        """Every labelled answer of those of its files that are there, and every row that has none.

        Raises:
            DataAbsent: no file is there.
            BadInput: one is broken.
        """
        found = self.find(data, self.labelled, some=True)
        for file in self.labelled:
            if found.keys() & set(file.paths):
                for row in values(file.read(file.of(found))):
                    yield from (row,) if isinstance(row, Rejected) else row


@dataclass(frozen=True, slots=True, kw_only=True)
class RagTruth(LabelledAnswers):
    """RAGTruth, whose responses and sources lie in two files where it is whole."""

    def rows(self, data: Path) -> Iterator[Labelled | Rejected]:
        """Responses with their sources where both files are there, else the questions and answers with passages."""
        present = self.present(data, (RESPONSES, SOURCES))
        if not present.keys() & set(SOURCES.paths):
            yield from LabelledAnswers.rows(self, data)
            return
        known = {row.id: row for row in values(SOURCES.read(SOURCES.of(present))) if isinstance(row, Source)}
        for number, row in enumerate(values(RESPONSES.read(RESPONSES.of(self.find(data, (RESPONSES,))))), 1):
            if isinstance(row, Rejected):
                yield row
            elif row.source not in known:
                yield Rejected(number, "its source is not in source_info.jsonl")
            else:
                source = known[row.source]
                question = source.question or SUMMARIZE
                yield Labelled(
                    text=row.text, label=row.made_up, prompt=question, context=(source.text,), group=row.model
                )


RAGTRUTH = RagTruth(
    name="ragtruth",
    summary="answers and summaries of six models, with the spans that are made up",
    licence="MIT; the questions and answers with passages CC-BY-NC-4.0",
    origin="github.com/ParticleMedia/RAGTruth",
    files=(RESPONSES, SOURCES, ANSWERS),
    labelled=(ANSWERS,),
)
FAITHBENCH = LabelledAnswers(
    name="faithbench",
    summary="summaries by ten models that detectors disagree on, with labels of their parts",
    licence="CC-BY-NC-SA-4.0",
    origin="github.com/vectara/FaithBench",
    files=SUMMARIES,
    labelled=SUMMARIES,
)
BEGIN = LabelledAnswers(
    name="begin",
    summary="replies that are or are not attributable to the knowledge they were given",
    licence="CC-BY-4.0; topicalchat CDLA-Sharing-1.0",
    origin="github.com/google/BEGIN-dataset",
    files=REPLIES,
    labelled=REPLIES,
)
FACTSCORE = LabelledAnswers(
    name="factscore",
    summary="single facts of biographies, held against Wikipedia",
    licence="MIT; as published again CC-BY-NC-4.0",
    origin="github.com/amazon-science/Query-Conditioned-NLI",
    files=BIOGRAPHIES,
    labelled=BIOGRAPHIES,
)
HALUEVAL = LabelledAnswers(
    name="halueval2",
    summary="single facts of answers without a source, called true or false by people",
    licence="MIT",
    origin="github.com/RUCAIBox/HaluEval-2.0",
    files=(*JUDGED, *PREDICTED),
    labelled=JUDGED,
    grounded=False,
)
SETS = (RAGTRUTH, FAITHBENCH, BEGIN, FACTSCORE, HALUEVAL)
