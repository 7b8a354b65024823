"""The nouns of measuring: an item and its gold, what became of it, and the metrics a benchmark declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

import msgspec

from orca_guard.correction import Counts
from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_of
from orca_guard.types import Action, Answer, Outcome, Question, Score

Kind: TypeAlias = Literal["question", "score"]

Worth: TypeAlias = float | Literal["outside"] | None
"""What an item is worth under a metric: a score in [0, 1]; or it lies outside of what the metric is about, and is in no
denominator; or None, where it is not known. What is not known counts against the bounds; what is outside does not."""

OUTSIDE: Final = "outside"

GOLD = "gold"
"""The label of an item's gold."""

TRAINING, TAGS = "training", ("seen", "new", "short")
"""The key of the group that says whether an item shares words with training data, and its values."""

About: TypeAlias = Literal["answers", "agreement", "sentinels", "parsed", "flips"]
"""What a judged metric is a figure of: what judges say of answers, or how far they can be believed."""


def sentinel_key(judge: str) -> str:
    """The key of the group that the sentinels of a judge are in; its values are the classes."""
    return f"sentinel-{judge}"


class Disposition(StrEnum):
    """What became of an item."""

    ANSWERED = "answered"
    AMBIGUOUS = "ambiguous"
    ABSENT = "absent"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    EMPTY = "empty"
    BLOCKED = "blocked"
    ABSTAINED = "abstained"
    ERROR = "error"


class Mark(StrEnum):
    """An item's outcome under a benchmark's first metric. UNSCORED is never a pass."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"
    UNSCORED = "unscored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing a benchmark asks: a question for the pipeline, or a request for the model alone.

    Attributes:
        id: unique in its benchmark.
        question: goes through the pipeline, under every arm.
        request: log-likelihoods of the model; no strategy, guard or reading takes part.
        gold: accepted values; of a request, the numbers of its right continuations, from 0, as text.
        labels: what else an answer can be but right, as label → values, written as gold is.
        cluster: items that share a passage or a prompt share this; empty is a cluster of its own.
        groups: what results are broken down by, as key → value.
        given: the answer, where nobody is asked for it: judges are shown it like any other. A second one is the same
            with an injection. Its labels are the scores that good judges give, by rubric.
    """

    id: str
    question: Question | None = None
    request: Score | None = None
    gold: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cluster: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.question is None) == (self.request is None):
            raise BadInput(f"item {self.id!r} has either a question or a request")
        if self.given and self.question is None:
            raise BadInput(f"item {self.id!r} has an answer to no question")

    @property
    def kind(self) -> Kind:
        """Whether the pipeline or the model alone is asked."""
        return "question" if self.question is not None else "score"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row of data that no item can be made of: its number in its file, and why, in words that others may share."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a judge said of an answer.

    Attributes:
        judge: the rubric's name.
        of: which of an item's given answers; 0 is the answer of any other.
        score: None where no verdict could be read, or none was given.
    """

    judge: str
    of: int = 0
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is known of a scorer that says whether an answer is what a metric looks for: score 1.

    Attributes:
        scorer: its name.
        weights: digests of what it is made of.
        rows: digests of what it was trained and calibrated on.
        measured_on: digests of the rows with known truth that `counts` are of; none of them is among `rows`.
        counts: `key=value` of a group, or "" for all of them → how often it was right.
    """

    scorer: str
    weights: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    measured_on: tuple[str, ...] = ()
    counts: Mapping[str, Counts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number over a benchmark's items, declared before the first of them is asked.

    Attributes:
        name: unique in its benchmark.
        aggregate: name of an aggregator of `stats.py`.
        credit: what every disposition but ANSWERED is worth; None is UNSCORED. A disposition that is not named is
            UNSCORED too.
        lower_is_better: for rates of harm.
        by: keys of `Item.groups` that it is broken down by.
        over: the key of `Item.groups` whose values are the classes of an aggregator that has some.
        rule: of `scoring.py`; empty is the benchmark's.
        worth: what an answer is worth that carries one of the item's labels, where that is not 1 for `gold`; with none
            of these labels it is worth 0. So a rate of anything can be had, and answers can be left outside.
        among: of requests, the label of the continuations that are compared; empty is all of them.
        scale: `signed` tells figures and thresholds as 2x - 1, between -1 and 1.
        quality: of the scorer that the scores come from, where one takes part; its rates are corrected by that.
        judges: rubrics whose judges give the scores; of several the product. Empty is what was read or computed.
        about: of a judged metric: what judges say of `answers`; how often they agree with people's labels
            (`agreement`) or with `sentinels`; on how much there is a verdict (`parsed`); how often an injection changes
            one (`flips`).
    """

    name: str
    aggregate: str = "mean"
    credit: Mapping[Disposition, Worth] = field(default_factory=dict)
    lower_is_better: bool = False
    by: tuple[str, ...] = ()
    over: str = ""
    rule: str = ""
    worth: Mapping[str, float | Literal["outside"]] = field(default_factory=dict)
    among: str = ""
    scale: Literal["unit", "signed"] = "unit"
    quality: Quality | None = None
    judges: tuple[str, ...] = ()
    about: About = "answers"


ACCURACY = Metric(
    name="accuracy",
    credit={d: 0.0 for d in Disposition if d not in {Disposition.ANSWERED, Disposition.ERROR}},
)
"""Share of items answered right. Whatever is no right answer counts as wrong; only an error counts as nothing."""


REFUSED = Metric(
    name="refused",
    worth={GOLD: 0.0},
    credit={
        **dict.fromkeys((Disposition.AMBIGUOUS, Disposition.ABSENT, Disposition.TRUNCATED), 0.0),
        **dict.fromkeys((Disposition.REFUSED, Disposition.BLOCKED, Disposition.ABSTAINED), 1.0),
    },
    lower_is_better=True,
)
"""Share of harmless items that were not answered, whoever refused: model, guard or strategy. A text in which no answer
was found is wrong, and no refusal; what is empty or an error tells nothing."""


def gathered(rows: Iterable[Item | Rejected]) -> tuple[list[Item], dict[str, int]]:
    """A benchmark's items, and of the rows that none could be made of, how many for which reason."""
    items, reasons = [], Counter[str]()
    for row in rows:
        if isinstance(row, Rejected):
            reasons[row.reason] += 1
        else:
            items.append(row)
    return items, dict(sorted(reasons.items()))


def id_of(*parts: str) -> str:
    """An id that follows from what an item is made of, wherever its row stands: 16 hex digits."""
    return digest_of(list(parts)).removeprefix("sha256:")[:16]


def shuffled(options: Iterable[str], *, seed: str) -> tuple[str, ...]:
    """Options in an order that depends on them and the seed (an item's id), and not on the order they came in."""
    return tuple(sorted(options, key=lambda option: digest_of([seed, option])))


def item_json(item: Item) -> str:
    """Everything an item is, as canonical JSON: the text whose digest the plan holds."""
    return canonical(asdict(item)).decode()


def item_of(text: str) -> Item:
    """The item in a text that `item_json` wrote.

    Raises:
        BadInput: it is no item.
    """
    try:
        return msgspec.json.decode(text, type=Item)
    except msgspec.MsgspecError as error:
        raise BadInput(f"not an item: {error}") from error


def item_digest(item: Item) -> str:
    """Digest of everything an item is: question or request, gold, labels, cluster and groups."""
    return digest_of(asdict(item))


def disposition_of(answer: Answer) -> Disposition:
    """What became of a question, from what the pipeline says of it."""
    if answer.error:
        return Disposition.ERROR
    match answer.action:
        case Action.BLOCK:
            return Disposition.BLOCKED
        case Action.ALLOW | Action.REDACT:
            return _READ[answer.outcome or Outcome.EMPTY]
        case Action.ABSTAIN:
            return Disposition.EMPTY if answer.outcome is Outcome.EMPTY else Disposition.ABSTAINED
        case _:
            return Disposition.ERROR


_READ = {
    Outcome.EXTRACTED: Disposition.ANSWERED,
    Outcome.AMBIGUOUS: Disposition.AMBIGUOUS,
    Outcome.ABSENT: Disposition.ABSENT,
    Outcome.TRUNCATED: Disposition.TRUNCATED,
    Outcome.REFUSED: Disposition.REFUSED,
    Outcome.EMPTY: Disposition.EMPTY,
}


def metric_json(metric: Metric) -> dict[str, Any]:
    """A metric as a plan holds it."""
    built: dict[str, Any] = msgspec.to_builtins(metric)
    return built
