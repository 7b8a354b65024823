"""Small runs by the real runner, made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from orca_guard.audit import Rank, close, run
from orca_guard.host import Host
from orca_guard.types import Score
from tests import stopping
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


STOPPING: Literal["stopping"] = "stopping"
Kind: TypeAlias = int | Literal["stopping"]
"""A run by so many processes, or one that stops by its rule."""

Make: TypeAlias = Callable[[Kind], Path]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A sealed run."""
    runs: dict[Kind, Path] = {}

    def make(kind: Kind) -> Path:
        if kind not in runs:
            known = stopping.by() if kind == STOPPING else by()
            usual = request(arm("mixed"), arm("oracle"), unit=4, gates=GATES, nonce="n")
            asked = stopping.stopping() if kind == STOPPING else usual
            world = 1 if kind == STOPPING else int(kind)
            audit = begun(asked, tmp_path_factory.mktemp("runs"), by=known)
            for rank in range(world):
                run(audit, known, place=Rank(rank, world), told=lambda _unit, _records: None)
            close(audit, place=Rank(0, world))
            runs[kind] = audit.bundle.root
        return runs[kind]

    return make


@pytest.fixture
def bundle(made: Make, tmp_path: Path) -> Path:
    """A copy to be changed, of a run by one process."""
    return Path(shutil.copytree(made(1), tmp_path / "run"))


@pytest.fixture
def forger(bundle: Path) -> Forger:
    """The same in memory."""
    return Forger(bundle)
