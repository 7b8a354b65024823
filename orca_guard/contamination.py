"""What a model may have read before it was asked: thirteen words in a row that training data and benchmarks share.

Every item is held against a folder of training texts (13-gram overlap, Brown et al. 2020, appendix C) and tagged in
the group `training`: `seen` where it shares a run of words with them, `new` where it shares none, `short` where it has
too few words to tell. Scores with and without the items that overlap are then figures by that group. Nothing is left
out: whether shared words helped is for the reader of both figures to say.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from orca_guard.data.rows import lines
from orca_guard.errors import BadInput, DataAbsent
from orca_guard.identity import digest_file
from orca_guard.items import TRAINING, Item

WORDS = 13
"""In a row."""

READ = frozenset({".txt", ".md", ".json", ".jsonl", ".csv", ".tsv"})
"""Ends of the names of files that are read, perhaps with .gz behind."""

Gram: TypeAlias = tuple[str, ...]
Step: TypeAlias = Callable[[str, int, int], None]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What training data and items have in common.

    Attributes:
        files: every file that was read, by its path in the folder → digest.
        passed_over: files of other kinds.
        tags: benchmark and id of an item → `seen`, `new` or `short`.
    """

    files: Mapping[str, str]
    passed_over: tuple[str, ...]
    tags: Mapping[tuple[str, str], str]

    def plan(self) -> dict[str, Any]:
        """As a plan holds it."""
        return {"words": WORDS, "files": dict(self.files), "passed_over": list(self.passed_over)}

    def tagged(self, benchmark: str, items: Iterable[Item]) -> tuple[Item, ...]:
        """Items with their tag; those whose answer is given have none, as no model is asked them."""
        return tuple(
            item if item.given else replace(item, groups={**item.groups, TRAINING: self.tags[benchmark, item.id]})
            for item in items
        )


def overlap(benchmarks: Mapping[str, Sequence[Item]], folder: Path, *, step: Step = lambda *_: None) -> Overlap:
    """Hold items against every text in a folder.

    Runs of words of the items are kept in memory, and training data is read once, line by line.

    Args:
        benchmarks: name → items.
        folder: of training data: texts, JSON, JSON Lines or tables, perhaps packed by gzip.
        step: told of a file, how many are read, and how many there are.

    Raises:
        BadInput: there is no such folder, or a file in it is damaged.
        DataAbsent: nothing in it can be read.
    """
    if not folder.is_dir():
        raise BadInput(f"there is no folder of training data {folder}")
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    known = [path for path in every if _kind(path) in READ]
    if not known:
        raise DataAbsent(
            f"no file in {folder} can be read as training data: its name ends in {', '.join(sorted(READ))}"
        )
    of_items = {
        (name, item.id): frozenset(gram for text in texts_of(item) for gram in grams(_words(text)))
        for name, items in benchmarks.items()
        for item in items
        if not item.given
    }
    wanted = frozenset[Gram]().union(*of_items.values())
    seen: set[Gram] = set()
    for number, path in enumerate(known):
        step(path.name, number, len(known))
        seen |= _shared(path, wanted)
    step("", len(known), len(known))
    return Overlap(
        files={path.relative_to(folder).as_posix(): digest_file(path) for path in known},
        passed_over=tuple(path.relative_to(folder).as_posix() for path in every if path not in {*known}),
        tags={key: _tag(found, seen) for key, found in of_items.items()},
    )


def counts(items: Iterable[Item]) -> dict[str, int]:
    """How many items carry which tag."""
    return dict(sorted(Counter(item.groups[TRAINING] for item in items if TRAINING in item.groups).items()))


def texts_of(item: Item) -> Iterator[str]:
    """Everything that a model reads of an item, and every answer that it is shown to choose among."""
    if item.request is not None:
        before = item.request.context or "\n".join(message.content for message in item.request.messages)
        yield from (before + continuation for continuation in item.request.continuations)
    if item.question is not None:
        yield from (message.content for message in item.question.messages)
        yield from (document.text for document in item.question.documents)
        yield "\n".join((item.question.prompt, *item.question.choices))


def grams(words: Sequence[str]) -> Iterator[Gram]:
    """Every run of that many words."""
    return zip(*(words[at:] for at in range(WORDS)), strict=False)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _tag(found: frozenset[Gram], seen: set[Gram]) -> str:
    if not found:
        return "short"
    return "new" if found.isdisjoint(seen) else "seen"


def _kind(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.casefold()


def _shared(path: Path, wanted: frozenset[Gram]) -> set[Gram]:
    """Runs of words that a file has, of those that are wanted; in a text they go on over the ends of lines."""
    found: set[Gram] = set()
    carried: list[str] = []
    for text, goes_on in _texts(path):
        words = [*carried, *_words(text)]
        found.update(gram for gram in grams(words) if gram in wanted)
        carried = words[1 - WORDS :] if goes_on else []
    return found


def _texts(path: Path) -> Iterator[tuple[str, bool]]:
    """Pieces of a file, each with whether the next one goes on with it."""
    kind = _kind(path)
    if kind == ".json":
        yield from ((text, False) for text in _strings(_decoded("".join(lines(path)), path)))
    elif kind == ".jsonl":
        for line in lines(path):
            if line.strip():
                yield from ((text, False) for text in _strings(_decoded(line, path)))
    else:
        yield from ((line, True) for line in lines(path))


def _decoded(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is damaged: it is no JSON: {error}") from error


def _strings(value: Any) -> Iterator[str]:
    """Every text in a document, however deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
