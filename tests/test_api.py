"""`load`: the same pipeline as the command line's, from many threads."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import orca_guard
from orca_guard import Action, Answer, OrcaGuardError, Question
from orca_guard.assembly import lasting
from orca_guard.cli import invoke
from orca_guard.errors import BadInput, UnknownName
from orca_guard.identity import digest_of


@pytest.fixture(scope="module")
def guarded() -> orca_guard.Pipeline:
    return orca_guard.load(strategy="step-by-step", max_new_tokens=48)


def test_what_is_public_can_be_imported() -> None:
    assert sorted(orca_guard.__all__) == dir(orca_guard)
    assert all(getattr(orca_guard, name) is not None for name in orca_guard.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'laod'"):
        orca_guard.laod  # noqa: B018


def test_it_answers_as_the_command_line_does(guarded: orca_guard.Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    answer = guarded.ask("What is 17 + 26?")
    invoke(["run", "--json", "--strategy", "step-by-step", "--max-new-tokens", "48", "What is 17 + 26?"])
    row = json.loads(capsys.readouterr().out)
    assert (row["text"], row["pipeline"]) == (answer.text, answer.pipeline)


def test_32_callers_get_the_answers_that_one_gets(guarded: orca_guard.Pipeline) -> None:
    questions = [f"What is {n} + {n % 7}?" for n in range(64)]
    alone = [guarded.ask(question).text for question in questions[:16]]
    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(guarded.ask, questions))
    assert [answer.text for answer in together[:16]] == alone
    assert all(answer.answered and not answer.error for answer in together)


def test_32_threads_may_load_at_once() -> None:
    with ThreadPoolExecutor(32) as pool:
        pipelines = list(pool.map(lambda _: orca_guard.load(strategy="direct", max_new_tokens=4), range(32)))
    assert len({pipeline.digest for pipeline in pipelines}) == 1
    assert len({pipeline.ask("hello").text for pipeline in pipelines}) == 1


def test_batches_and_streams(guarded: orca_guard.Pipeline) -> None:
    questions = [Question.of(f"What is {n} + 1?", id=str(n)) for n in range(5)]
    batch = {question.id: answer.text for question, answer in guarded.batch(questions)}
    *pieces, answer = guarded.stream(questions[3])
    assert isinstance(answer, Answer)
    assert "".join(map(str, pieces)).strip() == answer.text == batch["3"]


def test_a_prompt_too_long_is_said_and_never_cut(guarded: orca_guard.Pipeline) -> None:
    answer = guarded.ask("many words " * 3000)
    assert (answer.action, answer.exit_code) == (Action.ERROR, 2)
    assert "too many. Shorten the prompt" in answer.error


def test_a_pipeline_file_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('strategies = ["direct"]\nguards = []\n')
    loaded = orca_guard.load(tmp_path / "p.toml")
    assert list(loaded.strategies) == ["direct"]
    assert loaded.warnings == ("no guard is on: nothing judges questions or answers",)


def test_errors_carry_their_exit_codes() -> None:
    with pytest.raises(UnknownName, match="did you mean 'direct'"):
        orca_guard.load(strategy="drect")
    with pytest.raises(BadInput, match="no setting 'stratgy'"):
        orca_guard.load(stratgy="direct")
    with pytest.raises(OrcaGuardError) as caught:
        orca_guard.load("absent.toml")
    assert caught.value.exit_code == 2


DRIFTS: dict[str, Callable[[], orca_guard.Pipeline]] = {
    "strategy": lambda: orca_guard.load(strategy="direct"),
    "system message": lambda: orca_guard.load(system="Be brief."),
    "guard threshold": lambda: orca_guard.load(guards=["length=7"]),
    "one guard less": lambda: orca_guard.load(no_guards=["length"]),
    "decoding": lambda: orca_guard.load(temperature=0.5),
    "seed": lambda: orca_guard.load(seed=1),
    "limits": lambda: orca_guard.load(deadline_s=1.0),
    "dtype": lambda: orca_guard.load(dtype="bfloat16"),
    "profile": lambda: orca_guard.load(profile="own"),
}


def test_every_drift_is_another_pipeline() -> None:
    digests = {"none": orca_guard.load().digest} | {name: drift().digest for name, drift in DRIFTS.items()}
    assert len(set(digests.values())) == len(digests)


def test_the_digest_leaves_out_where_layers_lie(guarded: orca_guard.Pipeline) -> None:
    moved = {**guarded.identity, "model": {**guarded.identity["model"], "placement": "cuda:0", "date": "2001-01-01"}}
    assert digest_of(lasting(moved)) == guarded.digest
    changed = {**guarded.identity, "model": {**guarded.identity["model"], "weights": "sha256:0"}}
    assert digest_of(lasting(changed)) != guarded.digest
