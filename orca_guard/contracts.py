"""The protocols a plugin fulfils. A plugin imports this module, `types`, `reading`, `prompts` and nothing deeper."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from orca_guard.items import Item, Kind, Metric, Rejected
from orca_guard.types import (
    Action,
    Attempt,
    Exhibit,
    Failure,
    Finding,
    Partial,
    Question,
    Replies,
    Reply,
    Request,
    Requests,
    Scope,
    Segment,
    Stage,
    Verdict,
)

if TYPE_CHECKING:
    from orca_guard.reports.summary import Summary

API_VERSION = 1
"""The version of these contracts. A plugin states the one it was written for as `ORCA_GUARD_API`."""

Answering: TypeAlias = Generator[Requests, Replies, Segment]
Examining: TypeAlias = Generator[Requests, Replies, Verdict]
Reported: TypeAlias = tuple[Request, Reply | Failure | Partial]


@runtime_checkable
class Target(Protocol):
    """Anything the driver can hand requests to."""

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Answer requests, in any order, each exactly once; partial replies may come before.

        The iterable is lazy and may grow while replies are consumed: pull as many as fit a batch, answer them,
        pull again. A request that cannot be answered gets a `Failure`; only a fault of the whole target raises.
        """
        ...


@runtime_checkable
class Model(Target, Protocol):
    """A language model that is loaded and ready. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """For people: what was asked for."""
        ...

    @property
    def identity(self) -> Mapping[str, str]:
        """Digests of everything that decides an answer: weights, tokenizer, template, dtype, versions."""
        ...

    @property
    def requests(self) -> frozenset[type]:
        """The kinds of request it answers."""
        ...

    @property
    def context(self) -> int | None:
        """Tokens it can hold, where known."""
        ...

    @property
    def system_messages(self) -> Mapping[str, str]:
        """The profile's wordings: `default`, and by strategy name where the family has its own."""
        ...

    @property
    def forms(self) -> Path | None:
        """A form recogniser fitted on this model's answers, where there is one."""
        ...

    @property
    def notice(self) -> str:
        """One line a person should know before trusting its answers; empty when there is none."""
        ...


@runtime_checkable
class Described(Model, Protocol):
    """A model that is not loaded: it tells everything of itself, and answers nothing."""

    def measure(self, request: Request, /) -> int | None:
        """Tokens that the model would read, None where only a server knows.

        Raises:
            OrcaGuardError: what answering the request would raise before any token is computed.
        """
        ...


@runtime_checkable
class Examinable(Protocol):
    """A model that can be asked whether it is sound; one that cannot is examined from outside alone."""

    def examine(self) -> Iterable[Finding]:
        """What only its own plugin can tell: tokens, template, weights. It raises nothing that it can say instead."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Which model, and how to load it. Loaders refuse options that they cannot honour.

    Attributes:
        reference: a directory, a hub id, or a server's address, as the loader understands it.
        name: for people.
        adapter: directory of a PEFT adapter.
        profile: name or path of the profile; empty means the loader finds out.
        revision: hub revision; a hub id without one is refused unless the commit is resolved and recorded.
        dtype: `auto`, `float32`, `bfloat16`, `float16`.
        device_map: `auto`, `balanced`, `sequential`, a device, or module name → device.
        max_memory: device → amount, for example `{"0": "20GiB", "cpu": "60GiB"}`.
        offload_dir: where layers placed on disk live.
        batch_size: most generations in one batch.
        offline: never touch the network.
        trust_remote_code: run code that comes with the weights.
        options: what only this loader understands.
    """

    reference: str
    name: str = ""
    adapter: str = ""
    profile: str = ""
    revision: str = ""
    dtype: str = "auto"
    device_map: str | Mapping[str, str | int] = ""
    max_memory: Mapping[str, str | int] = field(default_factory=dict)
    offload_dir: str = ""
    batch_size: int = 16
    offline: bool = False
    trust_remote_code: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class ModelLoader(Protocol):
    """Opens models of one kind."""

    @property
    def name(self) -> str:
        """What `--model NAME:reference` says."""
        ...

    @property
    def summary(self) -> str:
        """One line for listings."""
        ...

    def claims(self, reference: str) -> bool:
        """Whether a bare reference looks like one of this loader's, judged without the network."""
        ...

    def open(self, spec: ModelSpec) -> Model:
        """Load it, or raise an `OrcaGuardError` that says what is wrong with it."""
        ...

    def describe(self, spec: ModelSpec) -> Described:
        """Tell what `open` would give, with the same identity, and load nothing. Raises what `open` raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A model that comes with a plugin: a name for a reference that some loader opens."""

    name: str
    summary: str
    loader: str
    reference: str
    profile: str = ""
    notice: str = ""


@runtime_checkable
class Strategy(Protocol):
    """A way to answer."""

    @property
    def name(self) -> str:
        """What `--strategy` takes."""
        ...

    @property
    def summary(self) -> str:
        """One line for listings."""
        ...

    @property
    def system(self) -> str:
        """Its system message, unless the model's profile words it otherwise."""
        ...

    @property
    def chooses_inside_model(self) -> bool:
        """Whether the model, not this strategy, decides the form of the answer."""
        ...

    def answer(self, question: Question, /) -> Answering:
        """Ask, once or more, and say where the final answer stands. Never calls a model itself."""
        ...


def is_explicit(strategy: Strategy) -> bool:
    """Whether it tells the model how to work: neither leaves that to the model, nor has no message for it."""
    return bool(strategy.system) and not strategy.chooses_inside_model


@runtime_checkable
class Selector(Protocol):
    """Picks the strategy, and the next one after an attempt that guards did not let through."""

    @property
    def name(self) -> str:
        """What `--selector` takes."""
        ...

    @property
    def escalates(self) -> bool:
        """Whether it may answer with another strategy after a failed attempt."""
        ...

    def choose(self, question: Question, attempts: Sequence[Attempt], /) -> str | None:
        """Name of the strategy to try next, or None to abstain."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorFactory:
    """How a selector is made from a pipeline's settings."""

    name: str
    summary: str
    make: Callable[[Sequence[str], Mapping[str, Any]], Selector]
    """From the names of the pipeline's strategies, in order, and the selector's own settings."""


@runtime_checkable
class Scorer(Protocol):
    """Turns texts into numbers: 0 is harmless, 1 is what it looks for."""

    @property
    def name(self) -> str:
        """What `--guard NAME` takes to make a guard of it."""
        ...

    @property
    def summary(self) -> str:
        """One line for listings."""
        ...

    @property
    def stages(self) -> frozenset[Stage]:
        """Where a guard made of it stands."""
        ...

    @property
    def scope(self) -> Scope:
        """Whether it can judge a text while it grows."""
        ...

    @property
    def threshold(self) -> float:
        """The default operating point: a score at or above it is a hit."""
        ...

    @property
    def action(self) -> Action:
        """What a hit leads to by default."""
        ...

    def score(self, exhibits: Sequence[Exhibit], /) -> Sequence[float]:
        """One finite number an exhibit, in order."""
        ...


@runtime_checkable
class Benchmark(Protocol):
    """Items, and what is measured on them. It declares and computes nothing: scores and metrics are core's.

    It may also have `covers`, a tuple of the risks, duties and limitations that it speaks to, such as
    `nist-ai-600-1/confabulation` (`orca_guard/reports/coverage.toml` lists them), and `protocol`, the name of a
    published protocol that it follows to the letter. Both go into the plan, and reports show them.
    """

    @property
    def name(self) -> str:
        """What `--suite` takes."""
        ...

    @property
    def summary(self) -> str:
        """One line for listings."""
        ...

    @property
    def version(self) -> str:
        """Of the items and how they are asked; it changes with them."""
        ...

    @property
    def kind(self) -> Kind:
        """Whether its items are questions for the pipeline, or requests that measure the model alone."""
        ...

    @property
    def scoring(self) -> str:
        """Name of the rule of `scoring.py` that compares an answer with the item's gold."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is reported; the first decides whether an item passes."""
        ...

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        """The files that the items come from, by the name that records use.

        Args:
            data: the folder that data lies in, where one was given.

        Raises:
            DataAbsent: they are not there.
        """
        ...

    def items(self, files: Mapping[str, Path], /) -> Iterable[Item | Rejected]:
        """All items, in a fixed order, and among them every row that none could be made of, with the reason.

        Raises:
            BadInput: a file is not what it should be.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteArm:
    """A pipeline that a suite measures where the caller names none: the caller's own, but for what is said here.

    Attributes:
        name: in records and reports.
        strategy: the only one.
        system: replaces every strategy's system message; None leaves it.
    """

    name: str
    strategy: str
    system: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Benchmarks that are asked for by one name, each with the most items that are asked of it.

    Attributes:
        name: what `--suite` takes.
        summary: one line for listings.
        benchmarks: name → most items, None for all. One that no plugin provides is reported as not run.
        arms: under which pipelines, where the caller does not say.
    """

    name: str
    summary: str
    benchmarks: Mapping[str, int | None]
    arms: tuple[SuiteArm, ...] = ()


@runtime_checkable
class ReportForm(Protocol):
    """A form in which a run can be shown."""

    @property
    def name(self) -> str:
        """What `--format` takes."""
        ...

    @property
    def summary(self) -> str:
        """One line for listings."""
        ...

    @property
    def suffix(self) -> str:
        """Of its files, without a dot."""
        ...

    def render(self, run: Path, report: Summary, /) -> str:
        """The whole of it, and the same every time.

        Args:
            run: the run's folder, for what the summary does not hold; nothing else may be read.
            report: what there is to say. Texts in it are as a model wrote them, and hostile.

        Raises:
            BadInput: the run cannot be shown so.
        """
        ...


@runtime_checkable
class TextGuard(Protocol):
    """A guard that only reads text."""

    @property
    def name(self) -> str:
        """As in the pipeline file."""
        ...

    @property
    def stages(self) -> frozenset[Stage]:
        """Which texts it is shown."""
        ...

    @property
    def scope(self) -> Scope:
        """`window`: a verdict on a text that still grows holds for that much of it. `whole`: only the end counts."""
        ...

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """One verdict an exhibit, in order. Called from several threads."""
        ...


@runtime_checkable
class AskingGuard(Protocol):
    """A guard that needs a model. It always judges the whole text."""

    @property
    def name(self) -> str:
        """As in the pipeline file."""
        ...

    @property
    def stages(self) -> frozenset[Stage]:
        """Which texts it is shown."""
        ...

    def examine(self, exhibit: Exhibit, /) -> Examining:
        """Ask, and give a verdict. Never calls a model itself."""
        ...


Guard: TypeAlias = TextGuard | AskingGuard


@runtime_checkable
class Classifying(Protocol):
    """A guard whose scores come from trained models, and says from which.

    Without measured evidence that its scores tell enough apart it warns, unless the pipeline gives it an action.
    """

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Directories or hub ids that it asks; their digests are part of the pipeline's identity."""
        ...

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """What else decides its scores: labels, functions; not its threshold. `model` stands for the pipeline's own."""
        ...


@runtime_checkable
class ClassifierServer(Target, Protocol):
    """Answers `Classify` requests, and needs no language model for that. Safe to call from several threads.

    A server may also have `load(reference)`, which loads a classifier before it is asked: a request of a guard may
    take its `timeout_s`, and what is loaded beforehand takes nothing of that.
    """

    @property
    def name(self) -> str:
        """For listings."""
        ...

    @property
    def summary(self) -> str:
        """One line for listings."""
        ...

    def describe(self, reference: str, /, *, offline: bool = False, fresh: bool = False) -> Mapping[str, str]:
        """Digests of everything in a classifier that decides its scores; its weights are not loaded.

        Args:
            reference: a directory or hub id.
            offline: never touch the network.
            fresh: compute them whatever is remembered.

        Raises:
            OrcaGuardError: what is wrong with it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """The operating point a pipeline gives a guard; None leaves the guard's own default.

    Attributes:
        threshold: where it stands.
        action: what a hit leads to.
        options: what only this guard understands.
        offline: never touch the network.
        sound: whether measured evidence says that its scores tell enough apart: without it, a guard that is made of a
            trained scorer warns unless it is given an action.
    """

    threshold: float | None = None
    action: Action | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    offline: bool = False
    sound: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFactory:
    """How a guard is made from a pipeline's settings."""

    name: str
    summary: str
    make: Callable[[GuardSettings], Guard]
    """The guard, called `name` too. Raises `UsageError` for a setting it does not know."""
    operating_point: Path | None = None
    """A file that says how good it is as it comes: see `operating.OperatingPoint`."""
