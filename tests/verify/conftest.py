"""Small runs by the real runner, made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orca_guard.audit import Rank, close, run
from orca_guard.host import Host
from orca_guard.types import Score
from tests.auditing import MODELS, arm, begun, host, request
from tests.verify.forging import Forger

GATES = (
    {"benchmark": "basics-questions", "metric": "accuracy", "subject": "mixed", "at_least": 0.9},
    {"benchmark": "basics-choices", "metric": "accuracy", "at_least": 0.05},
    {"benchmark": "basics-questions", "metric": "accuracy", "margin": 0.2, "baseline": "oracle"},
)


def _mixed(prompt: str) -> str:
    """Right, wrong, refused, or nothing, by the length of the prompt."""
    sayings = (MODELS["oracle"].writes(prompt), "B", MODELS["refuser"].writes(prompt), "", "17")
    return sayings[len(prompt) % len(sayings)]


def _rates(asked: Score) -> list[float]:
    sayings = ("oracle", "always-first", "uniform", "nan")
    return list(MODELS[sayings[len(asked.context) % len(sayings)]].rates(asked))


def by() -> Host:
    """Where the models of these runs are found."""
    return host(
        {"mixed": replace(MODELS["oracle"], name="mixed", writes=_mixed, rates=_rates), "oracle": MODELS["oracle"]}
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A sealed run by so many processes."""
    known = by()
    runs: dict[int, Path] = {}

    def make(world: int = 1) -> Path:
        if world not in runs:
            asked = request(arm("mixed"), arm("oracle"), unit=4, gates=GATES, nonce="n")
            audit = begun(asked, tmp_path_factory.mktemp("runs"), by=known)
            for rank in range(world):
                run(audit, known, place=Rank(rank, world), told=lambda _unit, _records: None)
            close(audit, place=Rank(0, world))
            runs[world] = audit.bundle.root
        return runs[world]

    return make


@pytest.fixture
def bundle(made: Callable[[int], Path], tmp_path: Path) -> Path:
    """A copy to be changed, of a run by one process."""
    return Path(shutil.copytree(made(1), tmp_path / "run"))


@pytest.fixture
def forger(bundle: Path) -> Forger:
    """The same in memory."""
    return Forger(bundle)
