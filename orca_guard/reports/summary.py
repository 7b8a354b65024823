"""Everything a report says of a run: one frozen structure, of which every form shows what it can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FORMAT = 1
"""Of the JSON form; it changes when something in it means something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Which run it is, in its own words.

    Attributes:
        folder: name of the run's folder.
        title: name of the plan.
        plan: digest of the plan.
        seal: digest of the seal; empty where there is none.
        started, finished: ISO 8601, UTC; empty where nobody says.
        seed: of the choice of items.
        nonce: an outsider's, of the choice of items; empty where there was none.
        records: how many are here.
        planned: how many there must be.
        attempt: this one, from 1; 0 where nobody says.
        earlier: names of other runs of the same plan before this one.
        environment: Python, machine, packages.
    """

    folder: str
    title: str
    plan: str
    seal: str
    started: str
    finished: str
    seed: int
    nonce: str
    records: int
    planned: int
    attempt: int
    earlier: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def sealed(self) -> bool:
        """Whether the run says that it is complete."""
        return bool(self.seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of `verify`: `proven`, `asserted`, `fault` or `skipped`."""

    name: str
    status: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A pipeline that was measured.

    Attributes:
        name: in the plan.
        pipeline: its digest.
        model: name of its model.
        strategies: that it may pick from.
        guards: in their order.
        system: its system message; None where the strategy's own is used.
        decoding: what was not left at its default, in words.
    """

    name: str
    pipeline: str
    model: str
    strategies: tuple[str, ...]
    guards: tuple[str, ...]
    system: str | None
    decoding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that was measured: name in the plan, digest of its identity, and of its weights where they are known."""

    name: str
    digest: str
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What was measured, and by which rules.

    Attributes:
        name: of the benchmark.
        version: of its items.
        plugin: distribution and version that declared it.
        kind: `question` or `score`.
        scoring: the rule.
        items: that were asked.
        not_covered: items that fit no model.
        covers: what it says that it covers, such as `nist-ai-600-1/confabulation`.
        credits: metric → disposition → what it is worth; null is unscored, and `outside` no case of what is measured.
        sequential: whether asking may stop as soon as its gates have ruled.
    """

    name: str
    version: str
    plugin: str
    kind: str
    scoring: str
    items: int
    not_covered: int
    covers: tuple[str, ...]
    credits: Mapping[str, Mapping[str, float | str | None]]
    sequential: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A threshold that was declared beforehand, and what became of it.

    Attributes:
        benchmark, metric, subject, group: of which figure; an empty group is all items.
        bound: in words.
        threshold: the number in it; of a margin, the least difference there may be.
        baseline: of a margin, the arm or model that it is held against; empty is none.
        value, low, high: the figure, or the difference; None where there is none.
        because: why the threshold is what it is.
        ruling: `pass`, `fail` or `inconclusive`.
        reason: in words.
        waived: the statement that waives it, in words; empty where none does. It changes no ruling.
        reviewed: what it says with people's labels, of a gate that takes some.
    """

    benchmark: str
    metric: str
    subject: str
    group: str
    bound: str
    threshold: float
    baseline: str
    value: float | None
    low: float | None
    high: float | None
    ruling: str
    reason: str
    because: str = ""
    waived: str = ""
    reviewed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A figure corrected for what its scorer misses; numbers are None where it was not computed, for a reason.

    Attributes:
        value, low, high: the rate and its interval.
        sensitivity, specificity: of the scorer, as they were measured.
        assumes: what it rests on.
        reason: why there is none.
    """

    value: float | None
    low: float | None
    high: float | None
    sensitivity: float | None
    specificity: float | None
    assumes: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Who judged the answers behind a figure.

    Attributes:
        by: who, as `rubric: name`.
        own: rubrics whose judge is the model under test.
        inconclusive: why nothing may rest on the figure; empty where something may.
    """

    by: tuple[str, ...]
    own: tuple[str, ...]
    inconclusive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A metric over a benchmark's items, or over a group of them.

    Attributes:
        benchmark, subject, metric: whose.
        group: `key=value`; empty is all items.
        value: over items with a score; None where there are none.
        low, high: of its interval, items without a score counted against and in favour; None where there is none.
        n, clusters: items with a score, and clusters among them.
        unscored: items without one.
        outside: items that are no case of what is measured.
        lower_is_better: for rates of harm.
        signed: whether it lies between -1 and 1.
        corrected: for what its scorer misses; None where no scorer takes part.
        circular: guards of the subject that share something with that scorer, so that no gate may rest on it.
        judged: by whom; None where no judge takes part.
    """

    benchmark: str
    subject: str
    metric: str
    group: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    unscored: int
    outside: int
    lower_is_better: bool
    signed: bool
    corrected: Corrected | None
    circular: tuple[str, ...]
    judged: Judged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardCount:
    """How often a guard said something at a stage."""

    guard: str
    stage: str
    action: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of a benchmark's items under one subject.

    Attributes:
        benchmark, subject: whose.
        records: that are here.
        missing: records that are planned and not here.
        dispositions: disposition → how many.
        marks: `pass`, `fail` and `unscored` → how many, by the first metric.
        cut: answers that were read although their generation had been cut off.
        prompt_tokens, new_tokens: over all of them.
        seconds: of all answers, one after the other.
        guards: what they said.
    """

    benchmark: str
    subject: str
    records: int
    missing: int
    dispositions: Mapping[str, int]
    marks: Mapping[str, int]
    cut: int
    prompt_tokens: int
    new_tokens: int
    seconds: float
    guards: tuple[GuardCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """Something in the records that a reader should not miss, whatever the gates say.

    Attributes:
        code: what kind of thing, such as `truncated`.
        benchmark, subject: where.
        what: in words, with the numbers.
        weight: from 0 to 1, how much of the benchmark it touches; the largest come first.
    """

    code: str
    benchmark: str
    subject: str
    what: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """One record with its texts. A text that was taken out, or not looked up, is None.

    Attributes:
        benchmark, item, subject: which.
        mark, disposition, reason: what became of it.
        question, gold: what was asked, and what is right.
        answer: what reading saw, or the last thing the model wrote where there is no answer.
        value: what was read.
        groups: of the item.
        verdicts: of guards that did not simply allow.
        strategy, tokens: of the answer.
    """

    benchmark: str
    item: str
    subject: str
    mark: str
    disposition: str
    reason: str
    question: str | None
    gold: tuple[str, ...]
    answer: str | None
    value: str | None
    groups: Mapping[str, str]
    verdicts: tuple[str, ...]
    strategy: str
    tokens: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Records that are not among the excerpts: how many of which mark."""

    benchmark: str
    subject: str
    mark: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that was not measured, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One row of a framework: `covered`, `partly` or `not covered`, and by what."""

    id: str
    title: str
    status: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A catalogue of risks or duties, with where it was read."""

    id: str
    title: str
    source: str
    rows: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limitation:
    """A limitation that the Orca 2 paper names, what would probe it, and the figure; empty is not measured."""

    title: str
    probe: str
    figure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published figure by the same protocol as a measured one; both in the same unit."""

    benchmark: str
    metric: str
    subject: str
    measured: float | None
    model: str
    published: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a person said of the run afterwards. It changes nothing that was computed.

    Attributes:
        kind: `sign`, `waive` or `labels`.
        at: when, by the clock of whoever said it.
        name, role: who.
        what: in words.
        key: public key of the signature; empty where nobody signed.
        fault: what is wrong with it; empty where nothing is.
    """

    kind: str
    at: str
    name: str
    role: str
    what: str
    key: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What people said of a sample of answers, beside what the score said.

    Attributes:
        benchmark, subject: of which answers; empty where all are taken together.
        labelled: records with a label that people settled on.
        unsettled: records on which two people differ and nobody decided.
        confusion: `pass/pass` and so on: what the score says / what people say → how many.
        kappa, kappa_low, kappa_high: Cohen's, of two people; None where only one labelled.
        corrected, low, high: the rate of passes as people would give it, prediction-powered; None without enough.
        scored: the rate by the score, over the same records.
    """

    benchmark: str
    subject: str
    labelled: int
    unsettled: int
    confusion: Mapping[str, int]
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
    corrected: float | None
    low: float | None
    high: float | None
    scored: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run.

    Attributes:
        format: of this structure.
        run: which.
        verdict: `pass`, `fail`, `inconclusive` or `none` as the seal says; `unsealed` without one.
        faulty: whether `verify` found a fault; then nothing else here can be relied on.
        checks: of `verify`.
        findings: what a reader should not miss.
        gates, figures, accounts: as the names say.
        reviewed: the verdict with people's labels; empty where no gate takes some.
        arms, models, benchmarks: as planned.
        not_measured: what is missing.
        coverage, limitations, published: what the figures speak to.
        statements, labels: what people said afterwards.
        excerpts, left_out: records with their texts, and how many there are beside them.
        strange: lines of the journal that could not be taken for records of the plan.
    """

    format: int
    run: Run
    verdict: str
    faulty: bool
    checks: tuple[Check, ...]
    findings: tuple[Anomaly, ...]
    gates: tuple[Gate, ...]
    figures: tuple[Figure, ...]
    accounts: tuple[Account, ...]
    arms: tuple[Arm, ...]
    models: tuple[Model, ...]
    benchmarks: tuple[Benchmark, ...]
    not_measured: tuple[Gap, ...]
    coverage: tuple[Framework, ...]
    limitations: tuple[Limitation, ...]
    published: tuple[Published, ...]
    statements: tuple[Statement, ...]
    labels: tuple[Labels, ...]
    excerpts: tuple[Excerpt, ...]
    left_out: tuple[LeftOut, ...]
    strange: int
    reviewed: str = ""
