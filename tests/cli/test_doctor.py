"""`orca-guard doctor` with the embedded model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orca_guard.cli.doctor import require
from orca_guard.errors import NotReady
from orca_guard.hookspecs import hookimpl
from orca_guard.host import Host
from orca_guard.types import Finding, Health
from tests.auditing import plugin

Run = Callable[..., Any]


def test_the_embedded_model_is_well(run: Run) -> None:
    done = run("doctor", "--suite", "basics", "--json")
    assert done.code == 0, done.out
    told = json.loads(done.out)
    assert told["well"] is True
    assert {"plugins", "model", "basics-choices", "basics-questions"} <= {f["about"] for f in told["findings"]}
    assert {f["health"] for f in told["findings"]} <= {"well", "not applicable"}


def test_an_unknown_suite_is_looked_for_among_suites_too(run: Run) -> None:
    refused = run("doctor", "--suite", "safty")
    assert refused.code == 2
    assert "unknown suite 'safty': did you mean 'safety'?" in refused.err


def test_what_is_ill_is_shown_with_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def guards() -> list[Any]:
        raise RuntimeError("[red]out of order\x1b[0m")

    sick = plugin()
    sick.guards = hookimpl(guards)  # type: ignore[attr-defined]
    monkeypatch.setattr(Host, "installed", lambda **_: Host(extra={"sick": sick}))
    monkeypatch.setenv("COLUMNS", "200")
    done = run("doctor", "--strategy", "direct")
    assert done.code == 3
    assert "guards() raised RuntimeError: [red]out of order" in done.out
    assert "--no-plugin sick" in done.out
    assert "\x1b" not in done.out


def test_a_model_that_does_not_load_is_a_finding(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = json.loads(run("doctor", "--model", "./empty", "--json").out)
    assert [(f["about"], f["name"]) for f in told["findings"] if f["health"] == "ill"] == [("model", "loads")]


def test_wrong_usage_is_no_finding(run: Run) -> None:
    assert "did you mean 'basics" in run("doctor", "--suite", "basic").err
    assert run("doctor", "--suite", "basic").code == 2
    assert run("doctor", "--pipeline", "absent.toml").code == 2
    assert run("doctor", "--model", "nosuch").code == 2


def test_only_what_is_needed_stops_an_audit(capsys: pytest.CaptureFixture[str]) -> None:
    def finding(about: str, health: Health = Health.ILL) -> Finding:
        return Finding(name="pulse", health=health, detail="none", advice="wait", about=about)

    require([finding("acme of acme 1"), finding("model", Health.WELL)], names={"model"})
    assert "acme of acme 1, pulse: none; wait" in capsys.readouterr().err
    with pytest.raises(NotReady, match=r"^model, suite cannot be relied on"):
        require([finding("suite"), finding("acme of acme 1"), finding("model")], names={"model", "suite"})
