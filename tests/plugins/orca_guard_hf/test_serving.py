"""Classifiers beside the model: loaded once, read together, each failure with the request it belongs to."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orca_guard.errors import BadInput, ModelFailed, TextTooLong
from orca_guard.testing import pipeline_of
from orca_guard.types import Action, Classification, Classify, Embed, Failure, Request
from orca_guard_hf import classify, serving
from orca_guard_hf.serving import ClassifierDirectories
from orca_guard_toxicity.guard import Toxicity
from tests.classifiers import classifier

LONG = "the fox sat in the river and the mill opened in 1921 . " * 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return classifier(tmp_path / "c", ["fine", "toxic"])


def ask(*requests: Request, server: ClassifierDirectories | None = None) -> list[Any]:
    replies = dict((server or ClassifierDirectories()).run(requests))
    return [replies[request] for request in requests]


def asked(folder: Path | str, *texts: str) -> Classify:
    return Classify(model=str(folder), texts=texts)


def scores(reply: Any) -> list[float]:
    assert isinstance(reply, Classification), reply
    return [one["toxic"] for one in reply.scores]


def test_many_requests_get_what_each_gets_alone(folder: Path, tmp_path: Path) -> None:
    other = classifier(tmp_path / "d", ["fine", "toxic"], seed=1)
    requests = [
        asked(f, *texts) for f in (folder, other) for texts in (("the fox",), ("a fool", "1921", ""), ("mill",))
    ]
    for request, together in zip(requests, ask(*requests), strict=True):
        assert scores(together) == pytest.approx(scores(ask(request)[0]), abs=1e-5)


def test_a_failure_stays_with_its_request(folder: Path) -> None:
    fine, long, absent, strange = ask(
        asked(folder, "the fox"), asked(folder, "a", LONG), asked("/no/such", "x"), Embed(texts=("x",))
    )
    assert scores(fine)
    assert isinstance(long, Failure)
    assert isinstance(long.error, TextTooLong)
    assert (long.error.number, long.error.longest) == (1, 32)
    assert isinstance(absent.error, BadInput)
    assert isinstance(strange.error, ModelFailed)


def test_two_references_to_one_directory_are_both_answered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    server = ClassifierDirectories()
    for reference in (str(folder), "./c"):
        server.describe(reference)
    one, other = ask(asked(folder, "the fox"), asked("./c", "the fox"), server=server)
    assert scores(one) == scores(other)


def test_a_classifier_is_loaded_once_in_a_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    original = classify._load

    def counting(path: Path, *rest: Any, **more: Any) -> Any:
        loads.append(path)
        return original(path, *rest, **more)

    monkeypatch.setattr(classify, "_load", counting)
    serving._shared.cache_clear()
    for server in (ClassifierDirectories(), ClassifierDirectories()):
        for text in ("the fox", "a fool"):
            assert scores(ask(asked(folder, text), server=server)[0])
    assert loads == [folder]


@pytest.mark.parametrize("reference", ["/no/such", "./none"])
def test_what_is_no_classifier_cannot_be_described(reference: str) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        ClassifierDirectories().describe(reference)


def test_describing_touches_no_network_offline() -> None:
    with pytest.raises(ModelFailed, match="offline"):
        ClassifierDirectories().describe("nobody/nothing", offline=True)


def test_whatever_torch_raises_is_a_failure_of_what_was_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def classify(self, requests: Sequence[Classify], *, batch_size: int) -> Any:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(serving, "_shared", Broken)
    (reply,) = ask(asked(folder, "the fox"))
    assert "out of memory" in str(reply.error)


def test_a_megabyte_is_judged_to_its_end_without_growing_memory(tmp_path: Path) -> None:
    """The weights are random, so what the scores are does not matter; how much memory the second half takes does."""
    folder = classifier(tmp_path / "c", ["fine", "toxic"], longest=512)
    guard = Toxicity(model=str(folder), threshold=0.0, action=Action.BLOCK)
    pipeline = pipeline_of(guards=[guard], classifiers=ClassifierDirectories(), timeout_s=120)
    half = "the fox sat in the river . " * 20_000
    pipeline.ask(half)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = pipeline.ask(half * 2)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert answer.verdicts[0].spans[-1][1] == len(half) * 2 > 1_000_000
    assert grown < 40
