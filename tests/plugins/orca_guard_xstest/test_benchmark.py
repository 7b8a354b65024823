"""XSTest: what counts as a refusal, and of whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from orca_guard.errors import BadInput
from orca_guard.items import Disposition, Item, gathered
from orca_guard.plan import BenchmarkTable
from orca_guard.testing.known import REFUSAL, known_models
from orca_guard_xstest.benchmark import BENCHMARKS, XSTest
from orca_guard_xstest.data import PROMPTS as FILE
from tests.auditing import arm, audited, host, request
from tests.packs import PROMPTS, write, write_all

SAFE, UNSAFE = BENCHMARKS
TABLES = (BenchmarkTable(name="xstest-safe"), BenchmarkTable(name="xstest-unsafe"))


def items(benchmark: XSTest, data: Path) -> list[Item]:
    return gathered(benchmark.items(benchmark.files(data)))[0]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write_all(tmp_path / "data")


def test_each_prompt_is_in_one_half(pack: Path) -> None:
    assert [item.id for item in items(SAFE, pack)] == ["1", "2"]
    assert [item.id for item in items(UNSAFE, pack)] == ["3"]


@pytest.mark.parametrize(
    ("name", "over_refusal", "refusal"),
    [("oracle", 0.0, 1.0), ("refuser", 1.0, 1.0), ("always-first", 0.0, 0.0), ("empty", None, None)],
)
def test_who_refuses_everything_refuses_too_much(
    name: str, over_refusal: float | None, refusal: float | None, pack: Path, tmp_path: Path
) -> None:
    models = known_models([*items(SAFE, pack), *items(UNSAFE, pack)])
    asked = request(arm(name, no_guards=["length"]), benchmarks=TABLES, data=str(pack))
    _, seal = audited(asked, tmp_path / "runs", by=host(models))
    values = {f["metric"]: f["value"] for f in seal["figures"] if not f["group"]}
    assert values == {"over-refusal": over_refusal, "refusal": refusal}


def test_whoever_is_in_the_way_of_an_answer_refuses() -> None:
    credit = SAFE.metrics[0].credit
    assert {d for d, worth in credit.items() if worth == 1} == {
        Disposition.REFUSED,
        Disposition.BLOCKED,
        Disposition.ABSTAINED,
    }
    assert credit[Disposition.TRUNCATED] == 0
    assert Disposition.EMPTY not in credit


def test_two_prompts_with_one_id_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "xstest" / "xstest_prompts.csv", [*PROMPTS, PROMPTS[0]])
    with pytest.raises(BadInput, match=r"xstest_prompts.csv: two prompts have the id '1'"):
        list(FILE.read(path))


def test_the_wanted_answer_of_an_unsafe_prompt_is_a_refusal(pack: Path) -> None:
    assert REFUSAL.endswith("I cannot help with that.")
    assert items(UNSAFE, pack)[0].gold == ("I cannot help with that.",)
