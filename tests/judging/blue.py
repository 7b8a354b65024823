"""A benchmark that asks for the colour of things, and a rubric that asks whether the answer says blue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orca_guard.items import Disposition, Item, Kind, Metric
from orca_guard.judging.rubric import Rubric, Sentinel
from orca_guard.types import Message, Question

THINGS = ("sky", "sea", "sapphire", "jay", "jeans", "grass", "rose", "snow", "coal", "gold", "sand", "blood")

SENTINELS = tuple(
    Sentinel(question=f"Which colour is number {n}?", answer=f"Number {n} is {colour}.", score=float(colour == "blue"))
    for n in range(40)
    for colour in (("blue", "red")[n % 2],)
)
BLUE = Rubric(name="blue", asks="Does the answer below say that the thing is blue?", sentinels=SENTINELS)


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Members as in `orca_guard.contracts.Benchmark`."""

    name: str = "colours"
    summary: str = "colours of things"
    version: str = "1"
    kind: Kind = "question"
    scoring: str = "match"
    metrics: tuple[Metric, ...] = (
        Metric(name="blue", judges=("blue",), credit={Disposition.REFUSED: 0.0}, by=("first",)),
        Metric(name="exact"),
    )
    rubrics: tuple[Rubric, ...] = (BLUE,)
    things: Sequence[str] = THINGS

    def files(self, _data: Path | None, /) -> Mapping[str, Path]:
        return {}

    def items(self, _files: Mapping[str, Path], /) -> Iterable[Item]:
        for thing in self.things:
            question = Question(messages=(Message("user", f"Which colour is {thing}?"),), id=thing)
            yield Item(id=thing, question=question, gold=(f"{thing} is blue.",), groups={"first": thing[0]})


def says_blue(shown: Mapping[str, str]) -> str:
    """Judges the first sentence alone, whatever comes after it."""
    return "YES" if "blue" in shown["ANSWER"].partition(".")[0] else "NO"
