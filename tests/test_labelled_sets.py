"""Published sets as labelled rows: as many as their publishers say, with the labels that they give."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("ORCA_GUARD_DATA", ROOT.parent / "shared" / "data"))

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no published data in {DATA}; set ORCA_GUARD_DATA")


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import labelled_sets

    yield labelled_sets
    del sys.modules["labelled_sets"]


@pytest.mark.parametrize(
    ("name", "rows", "labelled"),
    [
        ("ToxiGen", 6011, 2289),
        ("HatemojiBuild", 5313, 2655),
        ("Davidson", 24783, 20620),
        ("XSTest", 450, 0),
        ("RAGTruth QA", 266, 55),
    ],
)
def test_every_row_is_read_with_its_label(sets: ModuleType, name: str, rows: int, labelled: int) -> None:
    found = list(sets.SETS[name](DATA))
    assert (len(found), sum(row.label for row in found)) == (rows, labelled)
    assert all(row.text for row in found)


def test_of_begin_generic_replies_are_left_out(sets: ModuleType) -> None:
    found = list(sets.SETS["BEGIN"](DATA))
    assert Counter(row.group for row in found).keys() == {"wow", "cmu", "tc"}
    assert all(row.context[0] for row in found)
    assert sum(row.label for row in found) == 835


def test_rows_are_those_of_the_report_part(sets: ModuleType) -> None:
    found = sets.read("XSTest", DATA)
    assert {row.part for row in found.rows} == {"report"}
    assert 0.1 < len(found.rows) / 450 < 0.3
