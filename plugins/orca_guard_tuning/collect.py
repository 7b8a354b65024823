"""Explanation tuning data: prompts times strategies, put to a teacher, as triples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

from orca_guard.case import WITHHELD
from orca_guard.configuration import Table, decode, read_text
from orca_guard.errors import BadInput
from orca_guard.identity import digest_of
from orca_guard.items import Disposition, Item, disposition_of, item_digest
from orca_guard.packs import read_pack
from orca_guard.pipeline import Pipeline
from orca_guard.prompts import turns
from orca_guard.scoring import score_value
from orca_guard.types import Action, Answer, Message, Pass, Question
from orca_guard_tuning.policy import Policy
from orca_guard_tuning.teachers import NOTHING, Way, narrowed
from orca_guard_tuning.triples import Triple, Turn

CATEGORY = "category"
"""The key of an item's groups that says its category."""

SCORING = "match-folded"


# --- what is asked -----------------------------------------------------------------------------


class MessageTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One system message: `[messages.NAME]`.

    Attributes:
        system: the message.
        strategy: how it is asked and where its answer is read.
    """

    system: str
    strategy: str = "direct"


class MessagesTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of system messages, beside those of the installed strategies."""

    messages: dict[str, MessageTable]


def read_messages(path: Path) -> dict[str, MessageTable]:
    """System messages by name. Raises `BadInput`."""
    text = read_text(path, what="file of system messages")
    return decode(text, MessagesTable, {"messages": MessageTable}, source=str(path)).messages


def read_prompts(path: Path) -> list[Item]:
    """The items of a prompt file that are questions.

    Raises:
        BadInput: it cannot be read, holds nothing, a row is no question, or two have one id.
    """
    items = read_pack(path)
    if not items:
        raise BadInput(f"{path} holds no prompts")
    if twice := [name for name, count in Counter(item.id for item in items).items() if count > 1]:
        raise BadInput(f"{path}: id {twice[0]!r} stands twice")
    if wrong := [item.id for item in items if item.question is None]:
        raise BadInput(f"{path}: item {wrong[0]!r} has continuations; a teacher is asked questions")
    return items


def category_of(item: Item) -> str:
    """The category of an item; empty where it has none."""
    return item.groups.get(CATEGORY, "")


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt under one way."""

    item: Item
    way: Way

    @property
    def id(self) -> str:
        """Of its triple."""
        return f"{self.item.id}/{self.way.name}"

    @property
    def question(self) -> Question:
        """What is asked."""
        assert self.item.question is not None, "prompts are questions"
        return self.item.question

    @property
    def digest(self) -> str:
        """Of the prompt and the way it is asked."""
        return digest_of([item_digest(self.item), self.way.name, self.way.strategy.name, self.way.system])


def tasks(items: Iterable[Item], ways: Mapping[str, Way], policy: Policy | None = None) -> list[Task]:
    """What is to be asked, a way after the other: every prompt under every way, or under those of its category.

    Raises:
        BadInput: the policy names a strategy that is not there, or none for a category.
    """
    found = []
    for item in items:
        names = policy.of(category_of(item)) if policy else tuple(ways)
        if strange := [name for name in names if name not in ways]:
            raise BadInput(
                f"the policy names strategy {strange[0]!r} for category {category_of(item)!r}, "
                f"and there is: {', '.join(sorted(ways))}"
            )
        found += [Task(item, ways[name]) for name in names]
    order = list(ways)
    return sorted(found, key=lambda task: order.index(task.way.name))


# --- what is answered --------------------------------------------------------------------------

PipelineOf: TypeAlias = Callable[[Task], Pipeline]


def ask(todo: Sequence[Task], pipeline: Pipeline) -> Iterator[tuple[Task, Answer]]:
    """Every task with its answer, from a model behind a pipeline: a batch a way."""
    for _, group in groupby(todo, key=lambda task: task.way.name):
        together = list(group)
        by_id = {task.question.id: task for task in together}
        for question, answer in narrowed(pipeline, together[0].way).batch([task.question for task in together]):
            yield by_id[question.id], answer


def ask_each(todo: Iterable[Task], pipeline_of: PipelineOf) -> Iterator[tuple[Task, Answer]]:
    """Every task with its answer, each from a pipeline of its own."""
    for task in todo:
        yield task, narrowed(pipeline_of(task), task.way).ask(task.question)


def triple_of(task: Task, answer: Answer, *, system: str) -> Triple:
    """The row of an answer that is no error; one that cannot be trained on says why in `fault`.

    Args:
        task: what was asked.
        answer: what became of it.
        system: the message it was asked under, where no pass shows it.
    """
    passes = answer.passes if answer.answered else ()
    opening, *_ = _opening(passes[0]) if passes else (system,)
    history = tuple(m for m in task.question.messages[:-1] if m.role != "system")
    texts = [step.generation.text for step in passes]
    several = tuple(Turn(step.messages[-1].content, step.generation.text) for step in passes) if len(passes) > 1 else ()
    return Triple(
        id=task.id,
        category=category_of(task.item),
        strategy=task.way.name,
        system=opening,
        history=history,
        user=passes[0].messages[-1].content if len(passes) == 1 else turns(task.question)[-1].content,
        answer="\n".join(texts),
        passes=several,
        gold=task.item.gold,
        right=_right(task.item, answer),
        fault=_fault(answer, texts),
        tokens=answer.tokens[1],
        cached=sum(step.generation.cached for step in answer.passes),
        asked=task.digest,
    )


def _opening(step: Pass) -> tuple[str, ...]:
    first: Message = step.messages[0]
    return (first.content,) if first.role == "system" else ("",)


def _fault(answer: Answer, texts: Sequence[str]) -> str:
    disposition = disposition_of(answer)
    if answer.error == NOTHING:
        return "nothing to say"
    if disposition is not Disposition.ANSWERED:
        return disposition.value
    if answer.action is Action.REDACT:
        return "redacted"
    return "withheld" if WITHHELD in texts else ""


def _right(item: Item, answer: Answer) -> bool | None:
    """Whether the answer is one of the gold ones. What could not be read is no right answer."""
    if not item.gold:
        return None
    if disposition_of(answer) is not Disposition.ANSWERED:
        return False
    score = score_value(SCORING, answer.value, item)
    return None if score is None else score == 1.0


def identity_of(pipeline: Mapping[str, Any], ways: Iterable[Way]) -> dict[str, Any]:
    """What decides the answers of a teacher: its pipeline, and how it is asked."""
    asked = {way.name: {"strategy": way.strategy.name, "system": way.system} for way in ways}
    return {"pipeline": {**pipeline}, "ways": asked}
