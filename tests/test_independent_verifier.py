"""Two verifiers that share no code find the same bundles faulty, and the page that joins them is complete."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.identity import canonical
from tests import independent_figures, independent_stops, independent_verifier
from tests.verify.conftest import STOPPING, Kind, Make, bundle, forger, made
from tests.verify.forging import FORGERIES, Forger, Forgery
from tests.verify.test_forgeries import forge

__all__ = ["bundle", "forger", "made"]

OURS = {
    "a value edited to the gold, with its score, chained and sealed again",
    "an outcome edited, chained and sealed again",
    "a score edited, chained and sealed again",
    "a failed item turned to unscored, chained and sealed again",
}
"""Only whoever knows the rules of reading finds these."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)

SCRIPTS = tuple(Path(str(script.__file__)) for script in (independent_verifier, independent_stops, independent_figures))


def accepts(run: Path) -> bool:
    try:
        independent_verifier.verify(run)
        independent_figures.verify(run)
        independent_stops.verify(run)
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError, IndexError, OSError):
        return False
    return True


@pytest.mark.parametrize("kind", [1, 2, STOPPING])
def test_it_accepts_what_a_run_leaves(made: Make, kind: Kind) -> None:
    independent_verifier.verify(made(kind))
    independent_figures.verify(made(kind))
    independent_stops.verify(made(kind))


@pytest.mark.parametrize("forgery", [pytest.param(f, id=f.name) for f in FORGERIES])
def test_it_agrees(forgery: Forgery, made: Make, tmp_path: Path) -> None:
    run = forge(forgery, made, tmp_path / "run")
    assert accepts(run) is (forgery.found in {"nothing", "anchor", "replay"} or forgery.name in OURS)


def test_there_are_enough_to_agree_on() -> None:
    names = {forgery.name for forgery in FORGERIES}
    assert names >= OURS
    assert len(names - OURS) >= 20


def test_it_is_small_and_shares_nothing() -> None:
    for script in SCRIPTS:
        text = script.read_text("utf-8")
        assert len(text.splitlines()) <= 350
        assert "orca_guard" not in text


def test_it_runs_by_itself(forger: Forger, bundle: Path, tmp_path: Path) -> None:
    alone = [Path(shutil.copy(script, tmp_path / script.name)) for script in SCRIPTS]
    for script in alone:
        command = [sys.executable, "-I", "-S", str(script), str(bundle)]
        assert subprocess.run(command, check=False).returncode == 0
    forger.seal["verdict"] = "pass"
    forger.write()
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "the verdict is pass and should be fail" in ended.stderr


@given(
    st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)
    )
)
def test_both_spell_json_alike(value: object) -> None:
    assert independent_verifier.canonical(value).encode() == canonical(value)
    assert independent_verifier.canonical(json.loads(canonical(value))).encode() == canonical(value)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e21, 1e-7, 123456789012345680000.0, 5e-324, 1.7e308, 0.1, math.pi])
def test_numbers_that_are_easily_spelt_otherwise(value: float) -> None:
    assert independent_verifier.canonical(value).encode() == canonical(value)
