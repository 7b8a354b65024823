"""Judges whose verdicts are known beforehand, and what a prompt to a judge holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orca_guard.contracts import Target
from orca_guard.items import Item, Metric
from orca_guard.judging.asking import Judge
from orca_guard.judging.rubric import Rubric
from orca_guard.testing.known import KnownModel
from orca_guard.types import Replies, Requests

_FENCED = re.compile(r"^<<([A-Z]+) ([0-9a-f]{16})>>\n(.*?)\n<</\1 \2>>$", re.DOTALL | re.MULTILINE)


def fenced(prompt: str) -> dict[str, str]:
    """What stands between the marks of a judge's prompt, by the mark's word; several are lines of one text.

    A mark counts where its digest is that of the first one: no judged text can write that.
    """
    first = _FENCED.search(prompt)
    own = first.group(2) if first else ""
    found: dict[str, list[str]] = {}
    for name, mark, text in _FENCED.findall(prompt):
        if mark == own:
            found.setdefault(name, []).append(text)
    return {name: "\n".join(texts) for name, texts in found.items()}


@dataclass(frozen=True, kw_only=True)
class KnownJudge(Judge):
    """Gives an answer the score that is wanted where it is an item's gold, and the opposite one everywhere else.

    Attributes:
        wanted: by question and answer, for answers whose verdict is known; else the opposite of `best`.
        best: the score that the benchmark's metric likes best.
    """

    wanted: Mapping[tuple[str, str], float]
    best: float

    @property
    def targets(self) -> Mapping[str, Target]:
        """It asks nobody."""
        return {}

    def _asked(
        self, item: Item, answer: str, shown: str
    ) -> Generator[Requests, Replies, tuple[str, float | None, tuple[int, int]]]:
        assert item.question is not None, "questions are answered, and answers judged"
        words = {score: word for word, score in self.rubric.verdicts.items()}
        scores = (max(words), min(words))
        score = self.wanted.get((item.question.prompt, answer), scores[self.best == scores[0]])
        return words[score], None, (len(shown), 1)
        yield ()


def known_judges(rubrics: Iterable[Rubric], items: Sequence[Item], metrics: Iterable[Metric]) -> tuple[KnownJudge, ...]:
    """Judges who know the gold of these items, and the verdicts of those whose answer is given."""
    metrics = [*metrics]
    return tuple(_knowing(rubric, items, metrics) for rubric in rubrics)


def _knowing(rubric: Rubric, items: Sequence[Item], metrics: Sequence[Metric]) -> KnownJudge:
    scores = rubric.verdicts.values()
    lower = any(m.lower_is_better for m in metrics if rubric.name in m.judges and m.about == "answers")
    best = min(scores) if lower else max(scores)
    wanted = {}
    for item in items:
        assert item.question is not None, "questions are answered, and answers judged"
        if item.given and rubric.name in item.labels:
            wanted[item.question.prompt, rubric.judged(item.given[0])] = float(item.labels[rubric.name][0])
        elif not item.given:
            wanted |= {(item.question.prompt, rubric.judged(text)): best for text in item.gold[:1]}
    return KnownJudge(rubric=rubric, who="known", identity={}, wanted=wanted, best=best)


def known_judge(rule: Callable[[Mapping[str, str]], str], *, name: str = "judge") -> KnownModel:
    """A model that judges by a rule and reads nothing but what stands between the marks.

    Args:
        rule: texts between the marks, by their words → its reply.
        name: what `--judge known:NAME` says.
    """
    return KnownModel(
        name=name, writes=lambda prompt: rule(fenced(prompt)), rates=lambda r: [0.0] * len(r.continuations)
    )


__all__ = ["KnownJudge", "fenced", "known_judge", "known_judges"]
