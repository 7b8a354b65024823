"""A sealed run by the real runner, whose model answers in every way, and writes what is hostile."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from orca_guard.reports.summarise import summarise
from orca_guard.reports.summary import Check, Summary
from orca_guard.verify import verify
from tests.auditing import MODELS, arm, audited, host, request

HOSTILE = (
    '</script><img src="http://evil.example/x" onerror=alert(1)> \x1b[31m \u202e `code` | [a](http://b.example) @all'
)
GATES = (
    {"benchmark": "basics-questions", "metric": "accuracy", "subject": "oracle", "at_least": 0.5},
    {"benchmark": "basics-questions", "metric": "accuracy", "subject": "mixed", "at_least": 0.9},
    {"benchmark": "basics-choices", "metric": "accuracy", "at_least": 0.8},
    {"benchmark": "basics-questions", "metric": "accuracy", "subject": "mixed", "margin": 0.6, "baseline": "oracle"},
)


def _mixed(prompt: str) -> str:
    """Right, wrong, refused, nothing, or hostile, by the length of the prompt."""
    sayings = (MODELS["oracle"].writes(prompt), "B", MODELS["refuser"].writes(prompt), "", HOSTILE)
    return sayings[len(prompt) % len(sayings)]


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run. Nobody may change it."""
    known = {"mixed": replace(MODELS["oracle"], name="mixed", writes=_mixed), "oracle": MODELS["oracle"]}
    asked = request(
        arm("mixed", no_guards=["control-characters"]), arm("oracle"), gates=GATES, nonce="n", name=f"a title {HOSTILE}"
    )
    audit, _ = audited(asked, tmp_path_factory.mktemp("runs"), by=host(known))
    return audit.bundle.root


@pytest.fixture
def folder(sealed: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(sealed, tmp_path / "run"))


@pytest.fixture(scope="session")
def summary(sealed: Path) -> Summary:
    """What there is to say of the run."""
    return summarised(sealed)


def summarised(folder: Path) -> Summary:
    """Verified first, as the command does."""
    found = verify(folder)
    checks = [Check(name=check.name, status=check.status.value, what=check.what) for check in found.checks]
    return summarise(folder, checks=checks, faulty=found.faulty)
