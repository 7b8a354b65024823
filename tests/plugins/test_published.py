"""What holds for every benchmark of published data: the contract, whole data, and data that is broken or absent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from orca_guard.contracts import Benchmark
from orca_guard.data.rows import Account
from orca_guard.data.sets import DataFile, DataSet
from orca_guard.errors import BadInput, DataAbsent
from orca_guard.host import Host
from orca_guard.items import Item, gathered
from orca_guard.testing import check_benchmark
from tests.packs import SHARED, needs_data, write_all

HOST = Host.installed(without=["basics"])
BENCHMARKS = [found.item for _, found in HOST.benchmarks]
SETS = [found.item for _, found in HOST.datasets]
ROWS = {
    "truthfulqa": 2 * 817 + 2 * 790 + 2 * 15_394,
    "toxigen": 6_011 + 26_000 + 543,
    "hhh_alignment": 28 + 31 + 25 + 20,
    "xstest": 3 * 450,
    "bbq": 3_680 + 3_080 + 1_200,
    "aci_bench": 2 * 67 + 2 * 20,
    "qmsum": 35,
    "ms_marco": 2 * 5_062,
    "ragtruth": 50 + 266,
    "faithbench": 400,
    "begin": 430 + 416 + 383,
    "factscore": 180,
    "halueval2": 6 * 200,
}
"""What the shared files hold, as their index says."""
REJECTED = {
    "truthfulqa": {"it repeats an earlier row": 5_590, "its answer is empty": 88},
    "ms_marco": {"it has no answer": 154},
    "faithbench": {"its worst label is Questionable: people could not say": 40},
    "begin": {"it is Generic: it states nothing that could be held up": 81},
    "halueval2": {"it has another number of labels than of facts": 11},
}
REPAIRED = {
    "truthfulqa": {"an empty answer was left out": 22},
    "halueval2": {"a fact that is called unknown was left out": 369},
    "toxigen": {"a Python bytes literal was decoded": 6_011, "escaped line ends were undone": 26_000},
}


def named(thing: Benchmark | DataSet) -> str:
    return thing.name


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=named)
def test_known_models_score_what_theory_says(benchmark: Benchmark, pack: Path) -> None:
    check_benchmark(benchmark, benchmark.files(pack))


@needs_data
@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=named)
def test_known_models_score_what_theory_says_on_published_rows(benchmark: Benchmark) -> None:
    if benchmark.name.endswith("-primed"):
        pytest.skip("the preamble is the user's own")
    if benchmark.name == "ms-marco":
        pytest.skip("its queries are not in the shared data")
    check_benchmark(cast("Benchmark", First(benchmark)), benchmark.files(SHARED))


@dataclass(frozen=True)
class First:
    """The first items of a benchmark, as one."""

    whole: Benchmark
    most: int = 60

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def items(self, files: Mapping[str, Path], /) -> Iterable[Item]:
        return gathered(self.whole.items(files))[0][: self.most]


# --- every row -----------------------------------------------------------------------------------


def present(one: DataSet) -> Iterator[tuple[DataFile, Path]]:
    for file in one.files:
        for path in one.present(SHARED, [file]).values():
            yield file, path


@needs_data
@pytest.mark.parametrize("one", SETS, ids=named)
def test_every_row_of_every_file_is_taken_or_rejected_for_a_reason(one: DataSet) -> None:
    total = Account()
    for file, path in present(one):
        account = file.account(path)
        total.taken += account.taken
        total.rejected += account.rejected
        total.repaired += account.repaired
    assert total.rows == ROWS[one.name]
    assert total.rejected == REJECTED.get(one.name, {})
    assert total.repaired == REPAIRED.get(one.name, {})


@needs_data
@pytest.mark.parametrize("one", SETS, ids=named)
def test_every_published_file_is_one_of_a_set(one: DataSet) -> None:
    known = {path for _, path in present(one)}
    there = {path for path in (SHARED / one.name).rglob("*") if path.is_file()}
    assert {path.name for path in there - known} <= {"LICENSE.txt"}


@needs_data
def test_ids_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    source = SHARED / "hhh_alignment"
    folder = tmp_path / "hhh_alignment"
    folder.mkdir()
    for path in source.iterdir():
        lines = path.read_text("utf-8").splitlines(keepends=True)
        (folder / path.name).write_text("".join(reversed(lines)), "utf-8")
    benchmark = HOST.benchmarks.get("hhh-letters")
    there, here = (list(benchmark.items(benchmark.files(data))) for data in (SHARED, tmp_path))
    assert there != here
    assert sorted(map(repr, there)) == sorted(map(repr, here))


# --- data that is broken or absent ---------------------------------------------------------------


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=named)
def test_without_data_it_is_said_where_it_is_to_be_had(benchmark: Benchmark, tmp_path: Path) -> None:
    with pytest.raises(DataAbsent, match="data absent: no folder of data is named; name one by --data"):
        benchmark.files(None)
    with pytest.raises(DataAbsent, match=r"data absent: .* is to be had from"):
        benchmark.files(tmp_path)


def broken(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "no text":
            path.write_bytes(b"\xff\xfe\x00 not text")


@pytest.mark.parametrize(
    ("name", "where", "how"),
    [
        ("truthfulqa-mc", "truthfulqa/v1/mc_task.json", "cut"),
        ("truthfulqa-letters", "truthfulqa/v1/mc_task.json", "no text"),
        ("toxigen-likelihood", "toxigen/annotated_train.csv.gz", "cut"),
        ("toxigen-answers", "toxigen/annotated_train.csv.gz", "no text"),
        ("hhh-letters", "hhh_alignment/other.json", "cut"),
        ("xstest-safe", "xstest/xstest_prompts.csv", "no text"),
        ("bbq-ambiguous", "bbq/Age.jsonl.gz", "cut"),
        ("aci-bench", "aci_bench/valid.csv", "no text"),
        ("qmsum", "qmsum/val.jsonl.gz", "cut"),
        ("ms-marco", "ms_marco/dev_v2.1.json", "cut"),
        ("faithbench-labels", "faithbench/batch_1.json", "cut"),
        ("begin-labels", "begin/begin_dev_wow.tsv", "no text"),
    ],
)
def test_a_broken_file_is_named(name: str, where: str, how: str, tmp_path: Path) -> None:
    benchmark = HOST.benchmarks.get(name)
    path = write_all(tmp_path) / where
    broken(path, how)
    with pytest.raises(BadInput, match=path.name):
        gathered(benchmark.items(benchmark.files(tmp_path)))
