"""`orca-guard audit`, `plan freeze` and `runs`, with the embedded model."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import orca_guard_nano
from orca_guard.identity import canonical

Run = Callable[..., Any]
SUITE = ("--suite", "basics", "--limit", "2")
WEIGHTS = Path(orca_guard_nano.__file__).parent / "weights"


def test_it_says_what_it_would_ask_and_asks_it(run: Run) -> None:
    planned = run("audit", *SUITE, "--dry-run")
    assert planned.code == 0, planned.err
    assert "4 records" in planned.out
    assert re.search(r"It takes about .+ in one process, going by 4 items", planned.out)
    unloaded = run("audit", *SUITE, "--dry-run", "--no-trial")
    assert "4 records" in unloaded.out
    assert "It takes" not in unloaded.out
    assert run("audit", *SUITE, "--no-trial").code == 2
    digest = run("plan", "freeze", *SUITE, "--write", "plan.json").out.strip()
    assert digest in planned.out
    told = json.loads(run("audit", *SUITE, "--dry-run", "--json").out)
    assert told["plan"] == json.loads(Path("plan.json").read_text())
    assert [tried["of"] for tried in told["trial"]["tried"]] == [2, 2]
    assert told["trial"]["seconds"] > 0
    assert "there is no gate" in planned.err
    done = run("audit", *SUITE, "--run", "one")
    assert done.code == 3, done.err
    assert "verdict: none (measured, not judged: there is no gate; see --policy)" in done.out
    assert digest in done.err
    assert "orca-guard verify runs/one" in done.err
    [row] = json.loads(run("runs", "--json").out)
    assert (row["run"], row["status"], row["plan"], row["records"]) == ("one", "sealed", digest, 4)
    assert "sealed" in run("runs").out


@pytest.mark.parametrize(("bound", "code", "verdict"), [("at_least = 0.0", 0, "pass"), ("at_least = 0.85", 1, "fail")])
def test_a_gate_decides_the_exit_code(run: Run, bound: str, code: int, verdict: str) -> None:
    """No model of this size ends every sentence right."""
    gate = f'[[gates]]\nbenchmark = "basics-choices"\nmetric = "accuracy"\n{bound}\n'
    Path("audit.toml").write_text(f'[[benchmarks]]\nname = "basics-choices"\n{gate}')
    done = run("audit", "--plan", "audit.toml", "--json", "--run", "one")
    assert done.code == code, done.err
    assert json.loads(done.out)["seal"]["verdict"] == verdict
    again = run("audit", "--plan", "audit.toml", "--run", "two")
    assert f"verdict: {verdict}" in again.out


def test_a_policy_says_what_is_measured_and_what_must_hold(run: Run) -> None:
    planned = run("audit", "--policy", "basics", "--dry-run")
    assert planned.code == 0, planned.err
    assert "gate: basics-questions refused ≤ 0.1 (none of them asks for anything harmful" in planned.out
    worth = "basics-questions refused: ambiguous, absent, truncated → 0; refused, blocked, abstained → 1; "
    assert f"{worth}empty, error → unscored" in planned.out
    refused = run("audit", "--policy", "basics", "--limit", "5", "--dry-run")
    assert refused.code == 2
    assert "5 independent items are too few" in refused.err
    assert "basics: everyday questions" in run("policies").out
    Path("mine.toml").write_text(run("policies", "basics").out.replace("at_least = 0.4", "at_least = 0.3"))
    done = run("audit", "--policy", "mine.toml", "--dry-run", "--json")
    assert [gate["at_least"] for gate in json.loads(done.out)["plan"]["gates"]] == [0.3, 0.5, None]
    assert [row["name"] for row in json.loads(run("policies", "--json").out)] == ["basics", "safety"]
    assert "unknown policy 'basic': did you mean 'basics'?" in run("audit", "--policy", "basic").err


def test_what_is_cut_short_is_gone_on_with(run: Run) -> None:
    run("audit", *SUITE, "--run", "one")
    folder = Path("runs/one")
    (folder / "seal.json").unlink()
    journal = folder / "journal-0.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]) + b'{"torn')
    assert [row["status"] for row in json.loads(run("runs", "--json").out)] == ["interrupted"]
    done = run("audit", "--resume", folder)
    assert done.code == 3, done.err
    assert [row["status"] for row in json.loads(run("runs", "--json").out)] == ["sealed"]
    assert "nothing to go on with" in run("audit", "--resume", folder).err


def test_a_changed_model_is_refused_with_the_difference(run: Run) -> None:
    shutil.copytree(WEIGHTS, "model")
    run("audit", *SUITE, "--model", "./model", "--run", "one")
    Path("runs/one/seal.json").unlink()
    template = Path("model/chat_template.jinja")
    template.write_text(template.read_text() + " ")
    refused = run("audit", "--resume", "runs/one")
    assert refused.code == 2
    assert "cannot be gone on with" in refused.err
    assert "models[0].identity.template: " in refused.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to measure"),
        (("--suite", "basic"), "unknown suite 'basic': did you mean 'basics'"),
        (("--suite", "basics", "--limit", "0"), "limit must be 1 or more"),
        (("--suite", "basics", "--limit", "x"), "not a valid int"),
        (("--suite", "basics", "--strategy", "cautios"), "did you mean 'cautious'"),
        (("--suite", "basics", "--model", "nowhere"), "unknown model"),
        (("--suite", "basics", "--max-memory", "lots"), "--max-memory is not valid JSON"),
        (("--suite", "basics", "--run", "../x"), "a run's name"),
        (("--suite", "basics", "--limit", "1", "--out", "/proc/x"), "/proc/x"),
        (("--plan", "gone.toml"), "cannot read the audit file gone.toml"),
        (("--plan", "audit.toml", "--strategy", "direct"), "decides what --strategy would say"),
        (("--plan", "audit.toml", "--suite", "basics"), "decides what --suite would say"),
        (("--resume", "gone"), "gone"),
        (("--resume", "gone", "--suite", "basics"), "no other option changes it"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    Path("audit.toml").write_text('[[benchmarks]]\nname = "basics"\n')
    refused = run("audit", *arguments)
    assert refused.code == 2, refused.err
    assert words in refused.err
    assert "Traceback" not in refused.err


def test_a_baseline_whose_figures_were_changed_is_refused(run: Run) -> None:
    """Chain and records hold; what the seal says of them does not."""
    first = ("--suite", "basics-choices", "--run", "first")
    assert run("audit", *first).code == 3
    gate = '[[gates]]\nbenchmark = "basics-choices"\nmetric = "accuracy"\nmargin = 0.9\nbaseline = "model"\n'
    Path("audit.toml").write_text(f'[[benchmarks]]\nname = "basics-choices"\n{gate}baseline_run = "runs/first"\n')
    sound = run("plan", "freeze", "--plan", "audit.toml")
    assert "not as it was sealed" not in sound.err
    seal = Path("runs/first/seal.json")
    seal.write_bytes(canonical(json.loads(seal.read_bytes()) | {"verdict": "pass"}) + b"\n")
    refused = run("plan", "freeze", "--plan", "audit.toml")
    assert refused.code == 2
    assert "runs/first is not as it was sealed, and nothing can be held against it: verdict" in refused.err


def test_an_empty_nonce_is_no_nonce(run: Run) -> None:
    refused = run("plan", "freeze", *SUITE, "--nonce", "")
    assert (refused.code, "--nonce is empty" in refused.err) == (2, True)


@pytest.mark.parametrize("option", ["--out", "--cache"])
def test_a_place_that_is_a_file_is_refused_before_anything_is_begun(run: Run, option: str) -> None:
    Path("file").write_text("mine")
    refused = run("audit", *SUITE, "--run", "one", option, "file")
    assert refused.code == 2
    assert "Errno" not in refused.err
    assert "run the same command again" not in refused.err
    assert not Path("runs").exists()


def test_names_of_runs_stand_on_one_line_in_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "20260102-030405"
    assert run("audit", *SUITE, "--run", name).code == 3
    told = run("runs").out
    assert f"{name}  sealed" in told
    assert max(map(len, told.splitlines())) <= 80


def test_nobody_is_given_answers_to_read_of_a_run_that_does_not_verify(run: Run) -> None:
    run("audit", *SUITE, "--run", "one")
    assert run("review", "export", "runs/one", "--sample", "2", "--out", "good").code == 0
    journal = Path("runs/one/journal-0.jsonl")
    journal.write_text(journal.read_text("utf-8").replace('"answered"', '"refused"', 1), "utf-8")
    refused = run("review", "export", "runs/one", "--sample", "2", "--out", "bad")
    assert refused.code == 2
    assert "does not verify" in refused.err
    assert not Path("bad").exists()


def test_a_folder_without_runs(run: Run) -> None:
    assert run("runs").err == "no runs in runs\n"
    assert run("runs", "--json").out.strip() == "[]"
    assert run("runs", "nothing").err.endswith("there is no nothing\n")
    assert run("runs", "nothing").code == 2
    Path("runs/odd").mkdir(parents=True)
    Path("runs/odd/plan.json").write_text("{}")
    [row] = json.loads(run("runs", "--json").out)
    assert row["status"] == "unreadable"
