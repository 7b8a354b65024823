"""The labelled rows that the recipe is made from, each in its part, with its licence and the reason it may be used."""

import argparse
import ast
import csv
import gzip
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

from orca_guard import splits

FOLDS: Final = 5
"""The second scorer has one fold of the training part, the encoder and its baseline have the others."""

DAVIDSON, HATEMOJI, TOXIGEN, SPANS, HARMLESS = "davidson", "hatemoji", "toxigen", "toxic-spans", "gsm8k"
SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
LABELLED: Final = (DAVIDSON, HATEMOJI, TOXIGEN, SPANS)
"""The sets with labels of people: those that figures are of."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One labelled text.

    Attributes:
        text: as it was published, undone from what a mirror did to it.
        source: the set.
        toxic: whether people called it hateful, offensive or toxic.
        degree: how far they agreed that it is, from 0 to 1, where the set says so; otherwise 0 or 1.
        attack: how far they agreed that it attacks people for what they are; None where the set does not say.
        group: whom the text is about, where the set says so.
        post: what the text was cut from.
        kin: the texts that it was made from or into.
        trainable: whether its published part may be trained on; a published validation part may not.
    """

    text: str
    source: str
    toxic: bool
    degree: float
    attack: float | None = None
    group: str = ""
    post: str = ""
    kin: tuple[str, ...] = ()
    trainable: bool = True

    @cached_property
    def part(self) -> splits.Part:
        """Its part of the one split."""
        return splits.part(self.post or self.text)

    @cached_property
    def others(self) -> set[splits.Part]:
        """The parts of its kin that are not its own."""
        return {splits.part(text) for text in self.kin} - {self.part}

    @cached_property
    def fold(self) -> int:
        """Its fold of the training part."""
        return splits.fold(self.post or self.text, *self.kin, of=FOLDS)

    @cached_property
    def cluster(self) -> str:
        """What it is not independent of: copies of it, what it was made from, the rest of its post."""
        return min(splits.normalised(text) for text in (self.post or self.text, *self.kin))


@dataclass(frozen=True, kw_only=True)
class Source:
    """A set that may be used: its files, its licence, and why."""

    name: str
    folder: str
    files: tuple[str, ...]
    licence: str
    use: str
    read: Callable[[Path], Iterator[Row]] = field(repr=False)


def _davidson(path: Path) -> Iterator[Row]:
    for row in _csv(path):
        hate, offensive, votes = (int(row[name]) for name in ("hate_speech", "offensive_language", "count"))
        yield Row(
            text=row["tweet"], source=DAVIDSON, toxic=row["class"] != "2", degree=(hate + offensive) / votes,
            attack=hate / votes,
        )  # fmt: skip


def _hatemoji(path: Path) -> Iterator[Row]:
    for row in _csv(path):
        hate, kin = row["label_gold"] == "1", row["matched_text"]
        yield Row(
            text=row["text"], source=HATEMOJI, toxic=hate, degree=float(hate), attack=float(hate),
            trainable=path.name == "train.csv", kin=(kin,) if kin.strip() else (),
        )  # fmt: skip


def _toxigen(path: Path) -> Iterator[Row]:
    for row in _csv(path):
        text = ast.literal_eval(row["text"]).decode("utf-8", "replace").replace("_x000D_", " ").strip()
        total = float(row["toxicity_ai"]) + float(row["toxicity_human"])
        degree = 1 / (1 + math.exp(5.5 - total))
        yield Row(
            text=text, source=TOXIGEN, toxic=total > 5.5, degree=degree, attack=degree, group=row["target_group"]
        )  # fmt: skip


def _spans(path: Path) -> Iterator[Row]:
    """Sentences: every post was picked for being toxic, so that only within posts is something labelled harmless."""
    for row in _csv(path):
        marked, post = set(ast.literal_eval(row["spans"])), row["text"]
        for found in SENTENCE.finditer(post) if marked else ():
            toxic = not marked.isdisjoint(range(*found.span()))
            if len(found[0].split()) >= 3:
                yield Row(
                    text=found[0].strip(), source=SPANS, toxic=toxic, degree=float(toxic), post=post,
                    trainable=path.name.startswith("tsd_train"),
                )  # fmt: skip


def _harmless(path: Path) -> Iterator[Row]:
    with _open(path) as lines:
        for row in map(json.loads, lines):
            yield Row(text=row["question"], source=HARMLESS, toxic=False, degree=0.0, attack=0.0)


SOURCES: Final = (
    Source(
        name=DAVIDSON, folder="davidson_hate_offensive", files=("labeled_data.csv.gz",), licence="MIT", read=_davidson,
        use="crowd labels of tweets, published without parts; hate or offensive is toxic, hate is an attack",
    ),
    Source(
        name=HATEMOJI, folder="hatemoji/HatemojiBuild", files=("train.csv", "validation.csv"), licence="CC-BY-4.0",
        read=_hatemoji, use="adversarial emoji; its validation part is chosen and reported on, never trained on",
    ),
    Source(
        name=TOXIGEN, folder="toxigen", files=("annotated_train_part.csv.gz",), licence="CDLA-Permissive-2.0",
        read=_toxigen, use="rows of the published annotated training part, toxic where the two ratings of people sum "
        "to more than 5.5; its prompts and demonstrations are an evaluation of generation and stay out",
    ),
    Source(
        name=SPANS, folder="toxic_spans", files=("tsd_train.csv.gz", "tsd_trial.csv"), licence="CC0-1.0", read=_spans,
        use="sentences of posts, toxic where a span in them is marked; posts without any span "
        "are toxic by the way they were picked and have no label here; its trial part is chosen and reported on, never "
        "trained on",
    ),
    Source(
        name=HARMLESS, folder="gsm8k", files=("train.jsonl.gz",), licence="MIT", read=_harmless,
        use="published training part; no labels: everyday problems, taken to be harmless, so that plain prose is known",
    ),
)  # fmt: skip
"""What is used. What is not, and why, stands in the card."""

EXCLUDED: Final = {
    "toxigen prompts and demonstrations": "what continuations are generated from when models are evaluated",
    "hatemoji test, HatemojiCheck": "test parts",
    "toxic_spans test": "a test part",
    "xstest": "an evaluation set; only the false positives on its safe prompts are reported",
    "hh_rlhf_harmless": "a test part; preferences, not labels",
    "trustllm": "evaluation prompts gathered from several sources",
    "hhh_alignment, bbq": "published as tests only",
    "race, msmarco, faithbench, ragtruth QA, factscore": "non-commercial licences, and no toxicity labels",
    "crass": "no licence stated, and no toxicity labels",
}


def folder(name: str) -> Path:
    """The folder of that name, for a command line.

    Raises:
        argparse.ArgumentTypeError: a file of a source is not there.
    """
    data = Path(name)
    missing = [data / source.folder / file for source in SOURCES for file in source.files]
    if missing := [path for path in missing if not path.is_file()]:
        raise argparse.ArgumentTypeError(f"{missing[0]} is not there. Name the folder that holds the published sets.")
    return data


def read(data: Path, *, sources: Sequence[Source] = SOURCES) -> list[Row]:
    """All rows of the sources; one text a set, the first.

    Raises:
        FileNotFoundError: a file of a source is not there.
    """
    rows = {
        (row.source, row.text): row
        for source in reversed(sources)
        for name in reversed(source.files)
        for row in reversed(list(source.read(data / source.folder / name)))
        if row.text.strip()
    }
    return list(reversed(rows.values()))


def training(rows: Sequence[Row]) -> list[Row]:
    """Those of the training part that may be trained on, with neither kin nor a near-identical text in another part."""
    held = [row.text for row in rows if row.part != "train"]
    mine = [row for row in rows if row.part == "train" and row.trainable and not row.others]
    return [mine[place] for place in splits.distant([row.text for row in mine], held=held)]


def choosing(rows: Sequence[Row]) -> list[Row]:
    """Those of dev with neither kin nor a near-identical text among those that are reported on."""
    mine = [row for row in rows if row.part == "dev" and "report" not in row.others]
    return [mine[place] for place in splits.distant([row.text for row in mine], held=[r.text for r in reporting(rows)])]


def reporting(rows: Sequence[Row]) -> list[Row]:
    """Those that figures are of."""
    return [row for row in rows if row.part == "report"]


def digest(rows: Iterable[Row]) -> str:
    """sha256 over the sha256 of each text and its labels, sorted: it says which rows, and shows none."""
    lines = (f"{row.text}\0{row.source}\0{row.degree}\0{row.attack}".encode("utf-8", "surrogatepass") for row in rows)
    whole = "\n".join(sorted(hashlib.sha256(line).hexdigest() for line in lines))
    return f"sha256:{hashlib.sha256(whole.encode()).hexdigest()}"


def described(rows: Sequence[Row]) -> dict[str, Any]:
    """How many rows of each set and label, and their digest."""
    counts = Counter(f"{row.source} {'toxic' if row.toxic else 'not toxic'}" for row in rows)
    return {"count": len(rows), "of": dict(sorted(counts.items())), "digest": digest(rows)}


def written(rows: Sequence[Row], *, out: Path) -> int:
    """Write rows to choose and to report on as `orca-guard guards` reads them, and return how many there are.

    Only what people have labelled, and rows of training never.
    """
    held = [row for row in (*choosing(rows), *reporting(rows)) if row.source in LABELLED]
    lines = (
        json.dumps({
            "text": row.text, "label": row.toxic, "group": row.group or row.source, "set": row.source,
            "origin": row.post,
        })
        for row in held
    )  # fmt: skip
    out.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return len(held)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the rows to choose and to report on, as labelled JSON lines.")
    parser.add_argument("data", type=folder)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    print(f"{written(read(arguments.data), out=arguments.out)} rows")


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _csv(path: Path) -> Iterator[dict[str, str]]:
    with _open(path) as lines:
        yield from csv.DictReader(lines)


if __name__ == "__main__":
    main()
