"""Replaying: honest runs stand, inventions do not, and what cannot be followed is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_table

from orca_guard.configuration import GuardTable, ModelTable, default, overridden
from orca_guard.contracts import Reported
from orca_guard.errors import BadInput, ConfigurationChanged, ModelFailed
from orca_guard.host import Host
from orca_guard.plan import Arm, BenchmarkTable, request_json
from orca_guard.replay import Drawn, chance, draw, is_software, replay
from orca_guard.testing.known import KnownModel
from orca_guard.types import Generate, Generation, Request, Score
from orca_guard.verify import Check, Status
from tests.auditing import ITEMS, MODELS, arm, audited, host, request
from tests.verify.forging import WRONG, Forger, improve

ORACLE = {"model": ModelTable(name="known:oracle")}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed run of the oracle."""
    return audited(request(arm("oracle")), tmp_path_factory.mktemp("honest"))[0].bundle.root


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed run of the embedded model: questions under two arms, and requests."""
    arms = [Arm(name, overridden(default(), strategy=name)) for name in ("direct", "recall-reason-generate")]
    return audited(request(*arms, limit=12), tmp_path_factory.mktemp("nano"), by=Host.installed())[0].bundle.root


@pytest.fixture
def forger(nano: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(nano, tmp_path / "copy")))


def checked(run: Path, *, by: Host | None = None, count: int = 1000, **more: Any) -> Check:
    models = more.pop("models", ORACLE)
    return replay(run, by or host(), count=count, nonce=more.pop("nonce", "n"), models=models, **more)


def by_nano(run: Path, **more: Any) -> Check:
    return checked(run, by=Host.installed(), models={"model": ModelTable()}, **more)


# --- honest runs -------------------------------------------------------------------------------


def test_an_honest_run_stands(honest: Path) -> None:
    check = checked(honest)
    assert check.status is Status.PROVEN
    assert f"{len(ITEMS)} of {len(ITEMS)} records, drawn by nonce n" in check.what
    assert "requests came out the same, within 0" in check.what


def test_the_embedded_model_stands_by_what_it_wrote(nano: Path) -> None:
    """Questions of one pass and of several, decoded in batches of the run's own making."""
    check = by_nano(nano)
    assert check.status is Status.PROVEN, check.what
    assert "24 answers of" in check.what
    assert "12 requests came out the same" in check.what


def test_how_far_it_has_come_is_told(honest: Path) -> None:
    seen: list[tuple[int, int]] = []
    checked(honest, count=5, told=lambda done, records: seen.append((done, records)))
    assert seen == [(n, 5) for n in range(6)]


# --- inventions --------------------------------------------------------------------------------


def test_an_invented_answer_with_tokens_of_its_own_is_found(forger: Forger) -> None:
    """Somebody who has the model tokenises the answer that should have been given: all fits but what the model says."""
    record = forger.one(**WRONG)
    prompter = _prompter()
    gold = json.loads(forger.text(record["question"]))["gold"][0]
    text = f"Answer: {gold}"
    ids = prompter.tokenizer.encode(text, add_special_tokens=False)
    record["passes"][-1] |= {"text": forger.say(text), "ids": forger.say(json.dumps(ids)), "finish": "stop"}
    record["answer"] = {"text": forger.say(text), "segment": forger.say(gold), "finish": "stop"}
    record |= {"outcome": "extracted", "value": forger.say(gold), "disposition": "answered"}
    improve(record)
    forger.reseal()
    forger.write()
    check = by_nano(forger.folder)
    assert check.status is Status.FAULT
    assert check.count == 1
    assert "below the best" in check.what
    assert record["item"] in check.what


def test_invented_likelihoods_are_found(forger: Forger) -> None:
    record = forger.one(benchmark="basics-choices", mark="fail")
    record["likelihoods"] = [[row[0] + 0.01, *row[1:]] for row in record["likelihoods"]]
    forger.reseal()
    forger.write()
    check = by_nano(forger.folder)
    assert (check.status, check.count) == (Status.FAULT, 1)
    assert "continuation 0" in check.what


def test_every_answer_of_another_model_is_found(honest: Path) -> None:
    """A model that passes for the audited one and writes otherwise."""
    liar = replace(MODELS["always-first"], name="oracle")
    check = checked(honest, by=host({"oracle": liar}))
    assert check.status is Status.FAULT
    assert check.count > len(ITEMS) / 2


def a_record(item: int) -> Drawn:
    return Drawn(fields={"benchmark": "b", "item": str(item), "subject": "s"}, file="", line=item)


def test_one_invention_in_a_hundred_is_found_with_95_percent() -> None:
    """The draw of 300 among 2,000, for many nonces: at least one of 20 planted ones is in it."""
    assert chance(2000, 300) == pytest.approx(0.96189, abs=1e-5)
    assert chance(10**7, 300) >= 0.95
    records = [a_record(n) for n in range(2000)]
    draws = [draw(records, count=300, nonce=str(nonce)) for nonce in range(200)]
    found = sum(any(int(drawn.fields["item"]) % 100 == 0 for drawn in drawn) for drawn in draws)
    assert found >= 182  # fewer in one of 7,000 cases, at 96.19 %


@given(records=st.integers(1, 5000), share=st.floats(0, 1))
def test_the_chance_grows_with_the_draw(records: int, share: float) -> None:
    drawn = int(records * share)
    assert 0 <= chance(records, drawn) <= chance(records, min(records, drawn + 1)) <= 1
    assert chance(records, records) == 1


def test_the_nonce_decides_which_records_are_drawn_and_their_order_nothing() -> None:
    records = [a_record(n) for n in range(50)]
    assert draw(records, count=7, nonce="a") == draw(records[::-1], count=7, nonce="a")
    assert draw(records, count=7, nonce="a") != draw(records, count=7, nonce="b")
    assert {drawn.line for drawn in draw(records, count=10**6, nonce="a")} == set(range(50))


# --- what cannot be followed -------------------------------------------------------------------


def test_errors_and_texts_that_were_taken_out_are_counted(nano: Path, forger: Forger) -> None:
    record = forger.one(benchmark="basics-questions")
    address = record["passes"][0]["ids"]
    forger.texts[0] = [row for row in forger.texts[0] if row["digest"] != address]
    forger.write()
    check = by_nano(forger.folder)
    assert check.status is Status.ASSERTED
    assert "could not be followed: they name texts that were taken out" in check.what


def test_sampled_answers_are_not_followed_and_nothing_is_proven(tmp_path: Path) -> None:
    sampled = Arm("sampled", overridden(default(), strategy="direct", model="known:oracle", temperature=0.7))
    asked = request(sampled, benchmarks=(BenchmarkTable(name="basics-questions"),))
    check = checked(audited(asked, tmp_path)[0].bundle.root)
    assert check.status is Status.SKIPPED
    assert "they were sampled" in check.what


class Served(KnownModel):
    """Does not say its tokens, and follows none."""

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        for asked, reply in super().run(requests):
            yield asked, replace(reply, ids=None) if isinstance(reply, Generation) else reply


def test_what_a_server_wrote_is_not_followed(tmp_path: Path) -> None:
    oracle = MODELS["oracle"]
    served = Served(name="oracle", writes=oracle.writes, rates=oracle.rates)
    asked = request(arm("oracle"), benchmarks=(BenchmarkTable(name="basics-questions"),))
    run = audited(asked, tmp_path, by=host({"oracle": served}))[0].bundle.root
    assert "they were written by a server" in checked(run, by=host({"oracle": served})).what


def test_a_model_that_follows_nothing_is_named(honest: Path) -> None:
    unable = replace(MODELS["oracle"], requests=frozenset({Generate, Score}))
    with pytest.raises(ModelFailed, match="cannot follow recorded tokens"):
        checked(honest, by=host({"oracle": unable}))


# --- what is not believed ----------------------------------------------------------------------


def test_another_model_is_refused_with_the_difference(honest: Path) -> None:
    with pytest.raises(ConfigurationChanged) as refused:
        checked(honest, models={"model": ModelTable(name="known:refuser")})
    assert any("model.name" in line for line in refused.value.difference)


def test_what_the_run_says_of_a_model_is_not_believed(honest: Path, tmp_path: Path) -> None:
    """A request that came with a folder could name any file, or ask for its code to be run."""
    run = Path(shutil.copytree(honest, tmp_path / "copy"))
    trap = arm("oracle", model="no-such", trust_remote_code=True, offload_dir=str(tmp_path / "trap"))
    (run / "request.json").write_bytes(request_json(request(trap)))
    assert checked(run).status is Status.PROVEN
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    "table",
    [
        GuardTable(name="moderation", options={"url": "http://127.0.0.1:1/", "key_env": "HOME"}),
        GuardTable(name="toxicity", options={"model": "trap.ckpt", "trust_pickle": True}),
        GuardTable(name="length", operating_point="point.json"),
    ],
    ids=lambda table: table.name,
)
def test_options_of_guards_are_taken_from_nobody_unlooked(honest: Path, tmp_path: Path, table: GuardTable) -> None:
    """They can name a file to load, or an address and the secret to send there: nothing of them is even made."""
    run = Path(shutil.copytree(honest, tmp_path / "copy"))
    trap = arm("oracle")
    (run / "request.json").write_bytes(
        request_json(request(Arm(trap.name, replace_table(trap.table, guards=(table,)))))
    )
    with pytest.raises(BadInput, match=f"gives options to guard '{table.name}'.*--trust-options"):
        checked(run)


def test_options_that_somebody_has_looked_at_are_taken(tmp_path: Path) -> None:
    plain = arm("oracle")
    guards = (GuardTable(name="toxicity", options={"function": "sigmoid"}),)
    run = audited(request(Arm("oracle", replace_table(plain.table, guards=guards)), limit=3), tmp_path)[0].bundle.root
    with pytest.raises(BadInput, match="--trust-options"):
        checked(run)
    assert checked(run, trusting=True).status is Status.PROVEN


@pytest.mark.parametrize(
    ("path", "software"),
    [
        ("model.torch", True),
        ("model.commit", True),
        ("orca-guard.digest", True),
        ("strategies[0].version", True),
        ("model.weights", False),
        ("model.template", False),
        ("model.dtype", False),
        ("strategies[0].system", False),
        ("guards[1].threshold", False),
        ("decoding.temperature", False),
        ("system", False),
    ],
)
def test_other_software_is_told_and_anything_else_refused(path: str, software: bool) -> None:  # noqa: FBT001
    assert is_software(path) is software


def test_a_model_without_a_place_is_asked_for(honest: Path) -> None:
    with pytest.raises(BadInput, match="--model model=DIR"):
        checked(honest, models={})


@pytest.mark.parametrize("data", [b"", b"{", b'{"table":{},"arms":[]}'])
def test_a_request_that_is_none_is_named(honest: Path, tmp_path: Path, data: bytes) -> None:
    run = Path(shutil.copytree(honest, tmp_path / "copy"))
    (run / "request.json").write_bytes(data)
    with pytest.raises(BadInput, match=r"request\.json"):
        checked(run)


def _prompter() -> Any:
    from orca_guard.assembly import assemble

    return assemble(default(), Host.installed()).model.prompter  # type: ignore[attr-defined]
