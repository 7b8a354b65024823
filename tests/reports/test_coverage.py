"""Rows are covered by who declares it, published figures stand beside the same protocol, and limitations are ten."""

from __future__ import annotations

from orca_guard.reports.coverage import frameworks, gaps, limitations, published
from orca_guard.reports.summary import Benchmark, Figure

BENCHMARK = Benchmark(
    name="made-up",
    version="1",
    plugin="",
    kind="question",
    scoring="match",
    items=40,
    not_covered=3,
    covers=("nist-ai-600-1/confabulation", "orca-2/hallucination", "nist-ai-600-1/no-such-row"),
    credits={},
)
FIGURE = Figure(
    benchmark="made-up",
    subject="served",
    metric="accuracy",
    group="",
    value=0.25,
    low=0.1,
    high=0.4,
    n=40,
    clusters=40,
    unscored=0,
    outside=0,
    lower_is_better=False,
    signed=False,
    corrected=None,
    circular=(),
)


def test_a_row_is_covered_by_the_benchmark_that_says_so() -> None:
    rows = {(f.id, row.id): row for f in frameworks([BENCHMARK]) for row in f.rows}
    assert rows["nist-ai-600-1", "confabulation"].status == "covered"
    assert rows["nist-ai-600-1", "confabulation"].by == "made-up (40 items)"
    assert rows["nist-ai-600-1", "cbrn"].status == "not covered"
    assert rows["eu-ai-act-annex-iv", "2g"].status == "partly"


def test_catalogues_have_the_rows_that_their_sources_have() -> None:
    counts = {framework.id: len(framework.rows) for framework in frameworks([])}
    assert counts == {"nist-ai-600-1": 12, "eu-ai-act-annex-iv": 16, "owasp-llm-2025": 10, "ailuminate": 12}


def test_what_was_not_measured_is_listed() -> None:
    plan = {
        "absent": [{"benchmark": "gone", "reason": "its data is not here"}],
        "benchmarks": [{"name": "known", "overlap": {"seen": 4, "new": 30, "short": 6}}],
    }
    told = [gap.what for gap in gaps(plan, [BENCHMARK], frameworks([BENCHMARK]))]
    assert told[0] == "gone"
    assert "3 of 43 items of made-up" in told
    assert any(what.startswith("4 items of known share 13 words") for what in told)
    assert any(what.startswith("10 of 12 rows of NIST") for what in told)
    assert any("no-such-row" in what for what in told)


def test_a_limitation_has_the_figure_of_the_benchmark_that_speaks_to_it() -> None:
    found = {row.title: row.figure for row in limitations([BENCHMARK], [FIGURE], {"served": "model"})}
    assert found["Hallucination"] == "made-up accuracy, served: 25 %"
    assert found["Potential for misuse"] == ""


def test_published_figures_stand_beside_the_same_protocol_only() -> None:
    assert published({"made-up": "orca-2/something"}, [FIGURE]) == ()
    assert published({}, [FIGURE]) == ()
    beside = published({"made-up": "orca-2/hellaswag"}, [FIGURE])
    assert {(row.measured, row.published) for row in beside} == {(0.25, 0.8156), (0.25, 0.796), (0.25, 0.8119)}
