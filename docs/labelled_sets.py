"""Published sets of texts that people have labelled, as rows that guards are measured on.

Each function reads the published form and says what its label means. Nothing of a set is kept here.
"""

from __future__ import annotations

import csv
import gzip
import json
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from orca_guard.labelled import Labelled, LabelledSet

HARM = 5.5
"""Of ToxiGen's summed ratings by people, above which a text is toxic (microsoft/TOXIGEN, `label_annotations`)."""

Reader = Callable[[Path], Iterable[Labelled]]


def toxigen(data: Path) -> Iterator[Labelled]:
    """Toxic is what people rated above 5.5 in two questions together; by the group it speaks of."""
    for row in _csv(data / "toxigen/annotated_train_part.csv.gz"):
        text = row["text"]
        text = str(literal_eval(text).decode("utf-8", "replace")) if text.startswith(("b'", 'b"')) else text
        text = text.replace("_x000D_", " ").strip()  # an artefact of spreadsheets, and of no post
        label = float(row["toxicity_ai"]) + float(row["toxicity_human"]) > HARM
        yield Labelled(text=text, label=label, group=row["target_group"])


def hatemoji(data: Path) -> Iterator[Labelled]:
    """HatemojiBuild, validation: hateful, with emoji."""
    for row in _csv(data / "hatemoji/HatemojiBuild/validation.csv"):
        yield Labelled(text=row["text"], label=row["label_gold"] == "1")


def davidson(data: Path) -> Iterator[Labelled]:
    """Tweets: hate speech or offensive against neither."""
    for row in _csv(data / "davidson_hate_offensive/labeled_data.csv.gz"):
        yield Labelled(text=row["tweet"], label=row["class"] != "2")


def xstest(data: Path) -> Iterator[Labelled]:
    """Prompts, none of which tries to replace instructions: a guard that stops one is wrong."""
    for row in _csv(data / "xstest/xstest_prompts.csv"):
        yield Labelled(text=row["prompt"], label=False, group=row["label"])


def begin(data: Path) -> Iterator[Labelled]:
    """Replies that are not fully attributable to their knowledge, against those that are; generic ones are left out."""
    for name in ("wow", "cmu", "tc"):
        for row in _csv(data / f"begin/begin_dev_{name}.tsv", delimiter="\t"):
            if row["begin_label"] != "Generic" and row["response"].strip():
                label = row["begin_label"] != "Fully attributable"
                context = (row["knowledge"],)
                yield Labelled(text=row["response"], label=label, prompt=row["message"], context=context, group=name)


def ragtruth(data: Path) -> Iterator[Labelled]:
    """Answers to questions on passages, with made up spans against without."""
    for line in (data / "ragtruth/qa_test_qcnli.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        context = (row["d1"],)
        yield Labelled(
            text=row["d2"], label=bool(row["labels"]), prompt=row["query"], context=context, group=row["model"]
        )


SETS: Mapping[str, Reader] = {
    "ToxiGen": toxigen,
    "HatemojiBuild": hatemoji,
    "Davidson": davidson,
    "XSTest": xstest,
    "BEGIN": begin,
    "RAGTruth QA": ragtruth,
}


def read(name: str, data: Path) -> LabelledSet:
    """A set's rows of the report part: what no classifier was trained on and no threshold chosen on."""
    rows = tuple(row for row in SETS[name](data) if row.part == "report")
    return LabelledSet(name, rows)


def _csv(path: Path, *, delimiter: str = ",") -> Iterator[dict[str, str]]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = raw.decode("utf-8").splitlines(keepends=True)
    if delimiter == ",":
        yield from csv.DictReader(lines)
    else:  # BEGIN's quotes are characters of its texts
        yield from csv.DictReader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
