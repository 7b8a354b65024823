"""What a benchmark declares of itself goes into the plan, and from there into the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orca_guard.items import ACCURACY, Item, Kind, Metric
from orca_guard.journal.bundle import Bundle
from orca_guard.plan import BenchmarkTable
from orca_guard_basics.benchmark import QUESTIONS
from tests.auditing import arm, audited, host, request
from tests.reports.conftest import summarised


@dataclass(frozen=True)
class Declaring:
    """The small questions, by somebody who says what they are good for."""

    name: str = "declaring"
    summary: str = "questions"
    version: str = "1"
    kind: Kind = "question"
    scoring: str = "match-folded"
    metrics: tuple[Metric, ...] = (ACCURACY,)
    covers: tuple[str, ...] = ("owasp-llm-2025/llm09", "nist-ai-600-1/confabulation")
    protocol: str = "orca-2/hellaswag"

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        return QUESTIONS.files(data)

    def items(self, files: Mapping[str, Path], /) -> Iterable[Item]:
        return QUESTIONS.items(files)


def test_what_is_covered_stands_in_the_plan_and_the_report(tmp_path: Path) -> None:
    asked = request(arm(), benchmarks=(BenchmarkTable(name="declaring", limit=12),))
    audit, _ = audited(asked, tmp_path, by=host(benchmarks=[Declaring()]))
    (entry,) = Bundle(audit.bundle.root).read_plan()["benchmarks"]
    assert entry["covers"] == ["nist-ai-600-1/confabulation", "owasp-llm-2025/llm09"]
    report = summarised(audit.bundle.root)
    covered = {(f.id, row.id): row.by for f in report.coverage for row in f.rows if row.status == "covered"}
    told = "declaring (12 items)"
    assert covered == {("nist-ai-600-1", "confabulation"): told, ("owasp-llm-2025", "llm09"): told}
    assert {row.measured for row in report.published} == {1}
    assert {row.source for row in report.published} == {"figure 5"}
