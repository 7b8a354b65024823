"""The command line, called in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orca_guard.cli import invoke, show
from orca_guard.hookspecs import hookimpl
from orca_guard.host import Host


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in an empty folder and return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Result:
        capsys.readouterr()
        for made in (show.console, show.stderr):  # as wide as this test says, not as the first one said
            made.cache_clear()
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install hooks as one more plugin, called `theirs`."""

    def plug(**hooks: Any) -> None:
        module = ModuleType("theirs")
        for name, hook in {**hooks, "ORCA_GUARD_API": 1}.items():
            setattr(module, name, hookimpl(hook) if callable(hook) else hook)
        monkeypatch.setattr(
            Host, "installed", lambda *, without=(), **_: Host(extra={"theirs": module}, without=without)
        )

    return plug
