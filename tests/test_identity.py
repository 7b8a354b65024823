"""Digests: equal values, equal digests; anything else, another."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard import identity

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_a_digest_hangs_on_the_value_alone(value: Any) -> None:
    assert identity.digest_of(value) == identity.digest_of(json.loads(json.dumps(value)))


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_count(value: dict[str, int]) -> None:
    assert identity.digest_of(value) == identity.digest_of(dict(reversed(value.items())))


@given(st.text(), st.text())
def test_texts(a: str, b: str) -> None:
    assert (identity.digest_text(a) == identity.digest_text(b)) == (a == b)


def test_half_characters_have_digests() -> None:
    assert identity.digest_text("\ud800") != identity.digest_text("\ud801")
    assert identity.digest_of("\ud800") != identity.digest_of("\ud801")


@given(st.lists(st.integers() | st.text(), min_size=1), st.integers())
def test_seeds(parts: list[Any], other: int) -> None:
    assert 0 <= identity.derive_seed(*parts) < 2**63
    assert identity.derive_seed(*parts) == identity.derive_seed(*parts)
    assert identity.derive_seed(*parts, other) != identity.derive_seed(*parts)


def test_files_are_remembered_and_changes_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"\0" * (2 << 20))
    first = identity.digest_file(path)
    assert identity.digest_file(path) == first
    memo = tmp_path / "cache" / "orca-guard" / "digests.json"
    assert first in memo.read_text()
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\1")
    os.utime(path, ns=(1, 1))
    assert identity.digest_file(path) != first
    assert identity.digest_file(path) == identity.digest_file(path, fresh=True)


def test_a_user_without_a_home_has_no_memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    path = tmp_path / "large"
    path.write_bytes(b"x" * (2 << 20))
    assert identity.digest_file(path) == identity.digest_file(path, fresh=True)


def test_a_broken_memo_is_no_memo(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"\0" * (2 << 20))
    memo = tmp_path / "cache" / "orca-guard" / "digests.json"
    memo.parent.mkdir(parents=True)
    memo.write_text("{ torn")
    assert identity.digest_file(path) == identity.digest_file(path, fresh=True)


def test_packages_hang_on_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = identity.digest_package(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert identity.digest_package(tmp_path) == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert identity.digest_package(tmp_path) != first


def test_what_was_or_became_empty_is_told_by_what_is_in_it() -> None:
    full = {"gates": [{"at": 1}], "files": {"a": 2}}
    empty: dict[str, object] = {"gates": [], "files": {}}
    assert identity.differences(full, empty) == ["files.a: 2 → absent", "gates[0].at: 1 → absent"]
    assert identity.differences(empty, full) == ["files.a: absent → 2", "gates[0].at: absent → 1"]
    assert identity.differences({"gates": []}, {}) == ["gates: [] → absent"]
    assert identity.differences({"a": 1, "a.b": 2}, {"a": 3, "a.b": 2}) == ["a: 1 → 3"]


def test_differences_name_every_leaf() -> None:
    old = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": {}}
    new = {"a": 1, "b": {"c": [1, 3, 4]}, "e": {}}
    assert identity.differences(old, new) == ["b.c[1]: 2 → 3", "b.c[2]: absent → 4", 'b.d: "x" → absent']
    assert identity.differences(old, old) == []
