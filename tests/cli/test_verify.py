"""`orca-guard verify`: exit codes, the table, JSON, and nothing hostile in a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.verify.conftest import bundle, forger, made
from tests.verify.forging import Forger

__all__ = ["bundle", "forger", "made"]

Run = Callable[..., Any]


def test_a_sealed_run(run: Run, bundle: Path, forger: Forger) -> None:
    done = run("verify", bundle)
    assert done.code == 0, done.err
    assert f"verified: nothing contradicts the run. Its plan is {forger.digest}" in done.out
    for word in ("completeness", "proven", "asserted"):
        assert word in done.out


def test_an_anchor(run: Run, bundle: Path, forger: Forger) -> None:
    assert run("verify", bundle, "--anchor", forger.digest).code == 0
    assert run("verify", bundle, "--anchor", "0" * 64).code == 1
    assert run("verify", bundle, "--anchor", "07b2").code == 2
    for nothing in ("", " "):  # what a shell makes of a command that failed
        refused = run("verify", bundle, "--anchor", nothing)
        assert (refused.code, "--anchor is empty" in refused.err) == (2, True)


def test_a_fault(run: Run, bundle: Path, forger: Forger) -> None:
    forger.seal["verdict"] = "pass"
    forger.write()
    done = run("verify", bundle)
    assert done.code == 1
    assert "faulty: 1 thing is not as it should be" in done.out
    assert "it says 'pass', and it is 'fail'" in " ".join(done.out.split())


def test_a_run_that_is_not_sealed(run: Run, bundle: Path) -> None:
    (bundle / "seal.json").unlink()
    done = run("verify", bundle)
    assert done.code == 3
    assert "not sealed" in done.out


def test_what_is_no_run(run: Run, tmp_path: Path) -> None:
    done = run("verify", tmp_path)
    assert done.code == 2
    assert "is no run: it has no plan.json" in done.err
    done = run("verify", tmp_path / "nothing")
    assert done.code == 2
    assert "there is no" in done.err


def test_a_page_that_cannot_be_made_again_here_is_named_in_the_last_line(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orca_guard.reports import html

    assert run("report", bundle, "--format", "html").code in {0, 3}
    assert "could not be made again" not in run("verify", bundle).out
    monkeypatch.setattr(html, "version", lambda _: "9.9")
    html.maker.cache_clear()
    done = run("verify", bundle)
    html.maker.cache_clear()
    assert done.code == 0
    assert "report.html is not what was verified" in done.out
    (bundle / "report.html").write_bytes(b"\xff<h1>PASSED</h1>")
    done = run("verify", bundle, "--json")
    assert done.code == 1
    assert json.loads(done.out)["faulty"]


def test_data(run: Run, bundle: Path, tmp_path: Path) -> None:
    done = run("verify", bundle, "--data", tmp_path)
    assert done.code == 0
    assert "basics-choices.jsonl is not there" in " ".join(done.out.split())
    assert run("verify", bundle, "--data", tmp_path / "nothing").code == 2


def test_json(run: Run, bundle: Path, forger: Forger) -> None:
    forger.one(mark="fail")["mark"] = "pass"
    forger.reseal()
    forger.write()
    done = run("verify", bundle, "--json")
    told = json.loads(done.out)
    assert (done.code, told["plan"], told["sealed"], told["faulty"]) == (1, forger.digest, True, True)
    checks = {check["name"]: check for check in told["checks"]}
    assert checks["chain"] | {"what": ""} == {"name": "chain", "status": "proven", "what": "", "faults": [], "count": 0}
    [fault] = checks["scores"]["faults"]
    assert fault["file"] == "journal-0.jsonl"
    assert "its scores make it fail" in fault["what"]


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_what_a_bundle_says_does_nothing_to_a_terminal(
    run: Run, bundle: Path, forger: Forger, options: tuple[str, ...]
) -> None:
    hostile = "\x1b]0;owned\x07[bold red]verified[/]\u202e"
    forger.one(mark="fail")["item"] = hostile
    forger.seal |= {"verdict": hostile, "results": hostile}
    forger.rechain()
    forger.write()
    done = run("verify", bundle, *options)
    assert done.code == 1
    assert "[bold red]verified[/]" in done.out.replace("\n", "").replace(" ", "").replace("boldred", "bold red")
    assert not set(done.out) & set("\x1b\x07\u202e")


def test_replay(run: Run, bundle: Path) -> None:
    done = run("verify", bundle, "--replay", "3")
    assert done.code == 2
    assert "say which with --model" in done.err
    for option, value in (("--model", "nano"), ("--nonce", "n"), ("--device-map", "cpu")):
        done = run("verify", bundle, option, value)
        assert done.code == 2
        assert f"{option} goes with --replay" in done.err
    done = run("verify", bundle, "--trust-options")
    assert done.code == 2
    assert "--trust-options goes with --replay" in done.err
    done = run("verify", bundle, "--replay", "3", "--model", "nano")
    assert done.code == 2
    assert "the plan has model, model-2: say which, as in --model model=DIR" in done.err
    done = run("verify", bundle, "--replay", "3", "--model", "model=nano")
    assert done.code == 2
    assert "say where 'model-2' lies" in done.err
    done = run("verify", bundle, "--replay", "3", "--model", "model=nano", "--model", "model-2=nano")
    assert done.code == 2
    assert "is not what the plan says" in done.err


def test_a_run_of_the_embedded_model_is_replayed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one"
    run("audit", "--suite", "basics", "--limit", "2", "--out", folder.parent, "--run", "one", "--no-doctor")
    done = run("verify", folder, "--replay", "300", "--model", "nano", "--nonce", "n")
    assert done.code == 0, done.err
    assert "4 of 4 records, drawn by nonce n: 2 answers" in " ".join(done.out.split())
