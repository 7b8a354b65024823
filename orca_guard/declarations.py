"""What a benchmark declares and makes, refused where it cannot be measured, before any model is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from orca_guard.contracts import Benchmark, Described
from orca_guard.errors import ModelFailed, NotReady, OrcaGuardError, PluginFailed
from orca_guard.items import OUTSIDE, Item, Kind, Metric, gathered
from orca_guard.scoring import LIKELIHOOD_RULES, QUESTION_RULES
from orca_guard.stats import AGGREGATORS, CLASSED
from orca_guard.types import Generate, Score


def check_possible(benchmarks: Sequence[Benchmark], models: Sequence[Described]) -> None:
    """That every declaration makes sense, and that every model takes the requests it makes.

    Raises:
        PluginFailed: what is declared cannot be measured.
        ModelFailed: a model does not take such requests.
    """
    for benchmark in benchmarks:
        if why := next(_impossible(benchmark), ""):
            raise PluginFailed(f"benchmark {benchmark.name!r} {why}")
    for benchmark in benchmarks:
        for model in models:
            if _wanted(benchmark) not in model.requests:
                what = "does not generate" if _wanted(benchmark) is Generate else "gives no log-likelihoods"
                fitting = [b.name for b in benchmarks if all(_wanted(b) in m.requests for m in models)]
                raise ModelFailed(
                    f"model {model.name!r} {what}, and benchmark {benchmark.name!r} needs that. "
                    f"Choose {_instead(model, fitting)}."
                )


def _wanted(benchmark: Benchmark) -> type[Generate | Score]:
    return Generate if benchmark.kind == "question" else Score


def _instead(model: Described, fitting: Sequence[str]) -> str:
    """What can be measured of a model that does not take all requests, as far as benchmarks that fit are known."""
    kinds = {Generate: "benchmarks that ask questions", Score: "benchmarks of log-likelihoods"}
    kind = next((words for request, words in kinds.items() if request in model.requests), "another model")
    return f"{kind}, as {', '.join(fitting[:3])}" if fitting else kind


def _impossible(benchmark: Benchmark) -> Iterator[str]:
    """What is wrong with what it declares."""
    metrics = benchmark.metrics
    rules = QUESTION_RULES if benchmark.kind == "question" else LIKELIHOOD_RULES
    for rule in (benchmark.scoring, *filter(None, (metric.rule for metric in metrics))):
        if rule not in rules:
            yield f"wants a scoring rule {rule!r}, which is not there"
    if not metrics:
        yield "declares no metric"
    if len({metric.name for metric in metrics}) != len(metrics):
        yield "gives one name to two metrics"
    for metric in metrics:
        yield from (f"declares a metric {metric.name!r} that {why}" for why in _unsound(metric, benchmark.kind))
    if OUTSIDE in (*metrics[0].worth.values(), *metrics[0].credit.values()):
        yield f"has {metrics[0].name!r} as its first metric, which leaves answers outside, and every item needs a mark"


def _unsound(metric: Metric, kind: Kind) -> Iterator[str]:
    if metric.aggregate not in AGGREGATORS:
        yield f"wants an aggregator {metric.aggregate!r}, which is not there"
    if (metric.aggregate in CLASSED) != bool(metric.over):
        yield f"is the {metric.aggregate} over {metric.over or 'no classes'}"
    if metric.scale == "signed" and metric.aggregate == "gap":
        yield "is a signed gap"
    if metric.among and kind == "question":
        yield "compares some continuations, and a question has none"
    if metric.quality and (metric.aggregate != "mean" or metric.scale != "unit"):
        yield "corrects what is no plain rate"
    if metric.quality and {*metric.quality.rows} & {*metric.quality.measured_on}:
        yield "has a scorer that was measured on rows it learnt from"
    worth = (*metric.worth.values(), *metric.credit.values())
    if not all(w is None or w == OUTSIDE or (type(w) in {int, float} and 0 <= w <= 1) for w in worth):
        yield "gives something else than a number from 0 to 1"


def sound_items(benchmark: Benchmark, files: Mapping[str, Path]) -> tuple[list[Item], dict[str, int]]:
    """Its items, each of the right kind, with an id of its own and in a class where that matters.

    With them, by reason, the rows that it rejects.

    Raises:
        NotReady: there are none.
        PluginFailed: making them failed, or what was made cannot be measured.
    """
    try:
        items, rejected = gathered(benchmark.items(files))
    except (OrcaGuardError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginFailed(f"benchmark {benchmark.name!r} failed: {type(error).__name__}: {error}") from error
    if not items:
        raise NotReady(f"benchmark {benchmark.name!r} has no items")
    strange = next((i for i in items if not isinstance(i, Item) or i.kind != benchmark.kind), None)
    if strange is not None:
        raise PluginFailed(f"benchmark {benchmark.name!r} made no {benchmark.kind} item of {strange!r:.100}")
    name, times = Counter(item.id for item in items).most_common(1)[0]
    if times > 1:
        raise PluginFailed(f"benchmark {benchmark.name!r} gives the id {name!r} to {times} items")
    for metric in benchmark.metrics:
        if metric.over and (alone := next((i for i in items if not i.groups.get(metric.over)), None)):
            raise PluginFailed(f"benchmark {benchmark.name!r} has an item {alone.id!r} without a {metric.over!r}")
    return items, rejected
