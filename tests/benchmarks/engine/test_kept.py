"""What is known is not found out again, and what was cut is not taken for whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.engine.kept import Kept


def test_a_finding_is_found_once_until_it_is_forgotten(tmp_path: Path) -> None:
    kept, found = Kept(tmp_path / "kept"), iter(range(9))
    assert [kept.once(["a", {"b": 1}], lambda: next(found)) for _ in range(2)] == [0, 0]
    assert Kept(tmp_path / "kept").once(["a", {"b": 1}], lambda: next(found)) == 0
    assert kept.once(["a", {"b": 2}], lambda: next(found)) == 1
    kept.forget(["a", {"b": 1}])
    assert kept.once(["a", {"b": 1}], lambda: next(found)) == 2


def test_what_was_cut_leaves_nothing(tmp_path: Path) -> None:
    def cut() -> int:
        raise KeyboardInterrupt

    kept = Kept(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        kept.once("a", cut)
    assert kept.once("a", lambda: 5) == 5
