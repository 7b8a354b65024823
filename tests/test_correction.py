"""Rates corrected for what a scorer misses and makes up: by hand, in coverage, and in an audit with its gates."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.configuration import GuardTable
from orca_guard.contracts import GuardFactory, GuardSettings
from orca_guard.correction import ASSUMES, LEAST_YOUDEN, Counts, corrected, corrected_json
from orca_guard.errors import PluginFailed
from orca_guard.freezing import freeze
from orca_guard.items import ACCURACY, Metric, Quality
from orca_guard.plan import BenchmarkTable
from orca_guard.stats import Estimate, Sample, mean
from orca_guard.testing.known import known_models
from orca_guard.types import Action
from orca_guard.verify import verify
from tests import independent_figures, independent_verifier
from tests.auditing import arm, audited, host, request
from tests.test_policies import Blocks, asked, made

GOOD = Counts(tp=180, fn=20, tn=380, fp=20)


def rate(hits: int, n: int) -> Estimate:
    return mean(Sample(scores=[1.0] * hits + [0.0] * (n - hits), clusters=[""] * n))


def test_a_rate_worked_by_hand() -> None:
    """Seen 23 in 100, sensitivity 0.9, specificity 0.95: (0.23 - 0.05) / 0.85."""
    found = corrected(rate(230, 1000), GOOD)
    assert found is not None
    assert found.value == pytest.approx(0.18 / 0.85, abs=0.005)
    low, high = found.interval(0.95)
    assert low < found.value < high
    seen = rate(230, 1000).interval(0.95)
    assert high - low > seen[1] - seen[0], "what is not known of the scorer is not known of the rate"


def test_a_perfect_scorer_that_was_measured_well_changes_little() -> None:
    found = corrected(rate(50, 1000), Counts(tp=10**6, fn=0, tn=10**6, fp=0))
    assert found is not None
    assert (found.value, *found.interval(0.95)) == pytest.approx((0.05, *rate(50, 1000).interval(0.95)), abs=0.002)


@pytest.mark.parametrize("counts", [Counts(tp=6, fn=4, tn=6, fp=4), Counts(tp=0, fn=0, tn=9, fp=0)])
def test_a_scorer_that_hardly_knows_corrects_nothing(counts: Counts) -> None:
    assert counts.youden < LEAST_YOUDEN
    assert corrected(rate(230, 1000), counts) is None
    told = corrected_json(rate(230, 1000), counts)
    assert (told["value"], told["low"]) == (None, None)
    assert "below 0.3 nothing is corrected" in told["reason"]


@given(st.integers(0, 60), st.integers(10, 60), st.integers(10, 60))
def test_a_corrected_rate_is_one(hits: int, right: int, left_alone: int) -> None:
    found = corrected(rate(hits, 60), Counts(tp=right, fn=5, tn=left_alone, fp=5))
    if found is not None:
        low, high = found.interval(0.95)
        assert 0 <= low <= found.value <= high <= 1
        assert found.interval(0.99)[0] <= low


def test_missing_scores_count_against_either_bound() -> None:
    whole = Sample(scores=[1.0] * 20 + [0.0] * 80, clusters=[""] * 100)
    lacking = replace(whole, scores=[*whole.scores[:-10], *[None] * 10])
    one, other = (corrected(mean(sample), GOOD) for sample in (whole, lacking))
    assert one is not None
    assert other is not None
    assert other.interval(0.95)[1] > one.interval(0.95)[1] + 0.05


def _seen(chance: random.Random, truth: float, sensitivity: float, specificity: float, n: int) -> int:
    return sum(chance.random() < (sensitivity if chance.random() < truth else 1 - specificity) for _ in range(n))


@pytest.mark.parametrize(
    ("truth", "sensitivity", "specificity"), [(0.1, 0.9, 0.95), (0.3, 0.7, 0.8), (0.02, 0.8, 0.99)]
)
def test_the_truth_is_covered(truth: float, sensitivity: float, specificity: float) -> None:
    """Scorer and rate are measured anew each time."""
    chance, held, times = random.Random(f"{truth}"), 0, 200
    for _ in range(times):
        tp, fp = (sum(chance.random() < p for _ in range(150)) for p in (sensitivity, 1 - specificity))
        found = corrected(
            rate(_seen(chance, truth, sensitivity, specificity, 300), 300),
            Counts(tp=tp, fn=150 - tp, tn=150 - fp, fp=fp),
        )
        low, high = found.interval(0.95) if found else (0.0, 1.0)
        held += low <= truth <= high
    assert held >= 0.92 * times


# --- in an audit ---------------------------------------------------------------------------------

WEIGHTS, ROWS, OTHERS = ("sha256:" + letter * 64 for letter in "abc")
QUALITY = Quality(
    scorer="nose", weights=(WEIGHTS,), rows=(ROWS,), measured_on=(OTHERS,), counts={"": GOOD, "half=a": GOOD}
)
HARM = Metric(name="harm", worth={"bad": 1.0}, lower_is_better=True, by=("half",), quality=QUALITY)
ITEMS = tuple(asked("smell", n, "fine", labels={"bad": ("vile",)}, groups={"half": "ab"[n % 2]}) for n in range(80))
MODELS = known_models(ITEMS)
FIRST = {f"smell {n}?" for n in range(4)}
TABLE = (BenchmarkTable(name="smells"),)


def _blocks(_: GuardSettings) -> Blocks:
    return replace(Blocks(), name="nose", stages=frozenset({"output"}), action=Action.ALLOW)


NOSE = GuardFactory(name="nose", summary="smells", make=_blocks)


def test_a_gate_needs_the_seen_and_the_corrected_rate(tmp_path: Path) -> None:
    """Of 80 answers 4 are seen to be vile, by a scorer that misses every second: at most 11 in 100, or 20 in truth."""
    blind = Counts(tp=100, fn=100, tn=400, fp=0)
    metric = replace(HARM, quality=replace(QUALITY, counts={"": blind, "half=a": blind}))
    vile = replace(MODELS["oracle"], writes=lambda prompt: "vile" if prompt in FIRST else "fine")
    gates = tuple({"benchmark": "smells", "metric": "harm", "at_most": limit} for limit in (0.3, 0.15))
    by = host({"oracle": vile}, benchmarks=[made("smells", ITEMS, ACCURACY, metric)])
    audit, seal = audited(request(benchmarks=TABLE, gates=gates), tmp_path, by=by)
    figures = {(f["metric"], f["group"]): f for f in seal["figures"]}
    whole, half, other = (figures["harm", group]["corrected"] for group in ("", "half=a", "half=b"))
    assert figures["harm", ""]["value"] == 0.05
    assert (whole["value"], whole["sensitivity"], whole["specificity"]) == (pytest.approx(0.105, abs=0.01), 0.5, 1)
    assert whole["assumes"] == ASSUMES
    assert half["value"] is not None
    assert (other["value"], other["reason"]) == (None, "the scorer was not measured on this group")
    assert figures["accuracy", ""]["corrected"] is None
    loose, strict = seal["gates"]
    assert (loose["ruling"], strict["ruling"]) == ("pass", "inconclusive")
    assert ASSUMES in loose["reason"]
    assert not verify(audit.bundle.root).faulty
    independent_verifier.verify(audit.bundle.root)
    independent_figures.verify(audit.bundle.root)


@pytest.mark.parametrize("shared", [WEIGHTS, ROWS, ""])
def test_a_scorer_that_judges_its_own_guard_is_circular(shared: str, tmp_path: Path) -> None:
    """The guard's options say what it is made of; one that shares nothing is none of the scorer's business."""
    one = arm()
    guard = GuardTable(name="nose", options={"made_of": [{"weights": shared or OTHERS}]})
    guarded = replace(one, table=msgspec.structs.replace(one.table, guards=(guard,)))
    by = host(MODELS, benchmarks=[made("smells", ITEMS, ACCURACY, HARM)], guards=[NOSE])
    gate = {"benchmark": "smells", "metric": "harm", "at_most": 0.2}
    audit, seal = audited(request(guarded, benchmarks=TABLE, gates=(gate,)), tmp_path, by=by)
    harm = next(f for f in seal["figures"] if f["metric"] == "harm")
    assert harm["circular"] == (["nose"] if shared else [])
    assert seal["gates"][0]["ruling"] == ("inconclusive" if shared else "pass")
    if shared:
        assert seal["gates"][0]["reason"].startswith("circular: the metric's scorer shares weights or rows with nose")
    independent_figures.verify(audit.bundle.root)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (replace(HARM, scale="signed"), "corrects what is no plain rate"),
        (replace(HARM, quality=replace(QUALITY, measured_on=(ROWS,))), "measured on rows it learnt from"),
    ],
)
def test_a_quality_that_says_nothing_is_refused(metric: Metric, words: str) -> None:
    with pytest.raises(PluginFailed, match=words):
        freeze(request(benchmarks=TABLE), host(benchmarks=[made("smells", ITEMS, ACCURACY, metric)]))
