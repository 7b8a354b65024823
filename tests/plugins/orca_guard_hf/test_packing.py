from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from orca_guard.errors import BadInput, ModelFailed, PromptTooLong
from orca_guard.types import Failure, Health, Score, Scores
from orca_guard_hf.budget import Budget
from orca_guard_hf.model import HFModel
from orca_guard_hf.scoring import fitted, score
from orca_guard_hf.tree import tree_of
from orca_guard_hf.tree_scoring import TreeScorer
from tests.plugins.orca_guard_hf.architectures import FITTING, UNFIT, write
from tests.plugins.orca_guard_hf.conftest import WORDS, ask, open_model

SHARED = Path(__file__).parents[4] / "shared" / "data"
DATA = SHARED / "truthfulqa" / "mc_task.json"
HELLASWAG = SHARED / "hellaswag" / "hellaswag_val_sample.jsonl"
NANO = Path(__file__).parents[3] / "plugins" / "orca_guard_nano" / "weights" / "tokenizer.json"
HEADER = "Q: how quick is a fox?\nA: as quick as seven dozen lazy wizards.\n\n"

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
asked = st.lists(
    st.builds(
        lambda head, question, choices: Score(
            context=f"{head}{question}", continuations=tuple(f" {c}" for c in choices)
        ),
        st.sampled_from(["", HEADER, HEADER + HEADER]),
        texts,
        st.lists(texts, min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=8,
)


def plain(model: HFModel, request: Score) -> Scores:
    return score(request, network=model.network, prompter=model.prompter, context=model.context, batch_size=4)


def close(one: Scores, other: Scores, *, within: float = 1e-3) -> None:
    for a, b in zip(one.likelihoods, other.likelihoods, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=within)
        assert (a.greedy, a.tokens) == (b.greedy, b.tokens)


def packed(model: HFModel, requests: Sequence[Score], *, budget: int) -> list[Scores]:
    joints = [fitted(request, model.prompter, model.context) for request in requests]
    found = dict(TreeScorer(model.network, Budget(budget)).scores(joints))
    return [Scores(likelihoods=tuple(found[n] or ())) for n in range(len(requests))]


@pytest.fixture(scope="session", params=[*FITTING, *UNFIT])
def any_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, HFModel]:
    folder = write(tmp_path_factory.mktemp(request.param), request.param)
    return request.param, open_model(folder)


def requests_of(*, header: str, questions: int = 6) -> list[Score]:
    return [
        Score(
            context=f"{header}Q: {' '.join(WORDS[n : n + 3])}\nA:",
            continuations=(" fox jumps", " fox", f" {WORDS[-n]}"),
        )
        for n in range(1, questions + 1)
    ]


# --- equal to the plain path -------------------------------------------------------------------


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=asked, budget=st.integers(8, 200))
def test_any_requests_in_any_pieces_have_the_plain_path_s_numbers(
    model: HFModel, requests: list[Score], budget: int
) -> None:
    for request, found in zip(requests, packed(model, requests, budget=budget), strict=True):
        close(found, plain(model, request))


def test_every_architecture_has_its_plain_path_s_numbers_whichever_way_it_takes(any_model: tuple[str, HFModel]) -> None:
    name, model = any_model
    assert model._packing.trusted() == (name in FITTING), model._packing.why_not
    requests = requests_of(header=HEADER)
    for request, found in zip(requests, ask(model, *requests), strict=True):
        close(found, plain(model, request))


def test_an_examination_tells_which_way_a_model_takes(any_model: tuple[str, HFModel]) -> None:
    name, model = any_model
    told = {finding.name: finding for finding in model.examine()}["packed forwards"]
    assert told.health is (Health.WELL if name in FITTING else Health.NOT_APPLICABLE)


def test_a_window_too_long_to_try_is_not_trusted(tmp_path: Path) -> None:
    wide = open_model(write(tmp_path, "Mistral", sliding_window=2000, max_position_embeddings=4096))
    assert "2000 tokens is too long to try" in wide._packing.why_not


def test_a_window_that_no_text_can_exceed_is_no_window(tmp_path: Path) -> None:
    model = open_model(write(tmp_path, "Mistral", sliding_window=4096))
    assert model.context == 256
    assert model._packing.trusted()


def test_who_is_not_trusted_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = open_model(write(tmp_path, "Mistral"), name="old one")
    with caplog.at_level(logging.WARNING, "orca_guard"):
        ask(model, *requests_of(header=""))
        ask(model, *requests_of(header=""))
    assert [r.getMessage() for r in caplog.records if "'old one'" in r.getMessage()] == [
        "Model 'old one' is answered the plain way, which is slower: packed forwards change its numbers."
    ]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_judged_by_its_own_noise(tiny: Path, dtype: str) -> None:
    assert open_model(tiny, dtype=dtype)._packing.trusted()


def test_layers_on_disk_give_the_same_numbers(tiny: Path, model: HFModel) -> None:
    from tests.plugins.orca_guard_hf.test_placement import INTERLEAVED

    parts = open_model(tiny, device_map=INTERLEAVED)
    assert parts._packing.trusted()
    requests = requests_of(header=HEADER)
    for one, other in zip(ask(parts, *requests), ask(model, *requests), strict=True):
        close(one, other, within=1e-5)


# --- no token twice ----------------------------------------------------------------------------


def prefixes(requests: Sequence[Score], model: HFModel) -> set[tuple[int, ...]]:
    joints = [fitted(request, model.prompter, model.context) for request in requests]
    return {row[:n] for joint in joints for row in joint.rows for n in range(1, len(row))}


def truthfulqa() -> list[Score]:
    if not DATA.is_file():
        pytest.skip("TruthfulQA is not beside the project")
    kinds = ("mc1_targets", "mc2_targets")
    return [
        Score(
            context=f"{HEADER * 4}Q: {row['question']}\nA:", continuations=tuple(f" {choice}" for choice in row[kind])
        )
        for row in json.loads(DATA.read_text("utf-8"))
        for kind in kinds
    ]


def hellaswag(count: int) -> list[Score]:
    if not HELLASWAG.is_file():
        pytest.skip("HellaSwag is not beside the project")
    rows = [json.loads(line) for line in HELLASWAG.read_text("utf-8").splitlines()[:count]]
    return [
        Score(context=f"{r['activity_label']}: {r['ctx']}", continuations=tuple(f" {e}" for e in r["endings"]))
        for r in rows
    ]


SOURCES: dict[str, Callable[[], list[Score]]] = {
    "made up": lambda: requests_of(header=HEADER, questions=15),
    "TruthfulQA": truthfulqa,
    "HellaSwag": lambda: hellaswag(60),
}


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_shared_is_read_once(tiny: Path, source: str) -> None:
    requests = SOURCES[source]()
    model = open_model(tiny)
    model.network.model.config.max_position_embeddings = 2048
    model = replace(model, limits=replace(model.limits, context=2048))
    assert model._packing.trusted()
    before = model.network.forwarded
    replies = ask(model, *requests)
    assert all(isinstance(reply, Scores) for reply in replies)
    least = len(prefixes(requests, model))
    assert least <= model.network.forwarded - before <= 1.03 * least


@pytest.mark.parametrize("unit", ["tokens", "words", "characters"])
def test_hellaswag_shares_too_little_to_be_read_three_times_as_fast(unit: str) -> None:
    """Each beginning of a text but the whole has to be read, once: what follows is judged, or is needed for that.

    A scorer that reads every text alone comes to no three times as much, whatever its texts are made of.
    """
    tokens = Tokenizer.from_file(str(NANO))
    cut: dict[str, Callable[[str], Sequence[Any]]] = {
        "tokens": lambda text: tokens.encode(text).ids,
        "words": str.split,
        "characters": list,
    }
    asked = [f"{r.context}{c}" for r in hellaswag(400) for c in r.continuations]
    rows = {tuple(cut[unit](text)[:-1]) for text in asked}
    alone = sum(map(len, rows))
    assert 2 < alone / len(tree_of(numbered(rows))) < 2.3


def numbered(rows: Iterable[tuple[Any, ...]]) -> list[list[int]]:
    numbers: dict[Any, int] = {}
    return [[numbers.setdefault(one, len(numbers)) for one in row] for row in rows]


def test_a_shared_beginning_is_remembered_and_changes_nothing(tiny: Path) -> None:
    first, second = requests_of(header=HEADER)[:3], requests_of(header=HEADER)[3:]
    fresh, used = open_model(tiny), open_model(tiny)
    assert fresh._packing.trusted()
    assert used._packing.trusted()
    ask(used, *first)
    before = used.network.forwarded
    again = ask(used, *second)
    saved = used.network.forwarded - before
    before = fresh.network.forwarded
    assert ask(fresh, *second) == again
    assert fresh.network.forwarded - before > saved + 16


# --- trouble -----------------------------------------------------------------------------------


def test_one_that_fails_fails_alone(model: HFModel) -> None:
    good = requests_of(header=HEADER)
    bad = [Score(context="a", continuations=("",)), Score(context="fox " * 300, continuations=(" a",))]
    replies = ask(model, good[0], bad[0], *good[1:4], bad[1], *good[4:])
    assert [type(r.error) for r in replies if isinstance(r, Failure)] == [BadInput, PromptTooLong]
    for request, reply in zip(good, [r for r in replies if isinstance(r, Scores)], strict=True):
        close(reply, plain(model, request))


def test_what_is_no_number_fails_alone(tiny: Path) -> None:
    model = open_model(tiny)
    assert model._packing.trusted()
    odd = model.prompter.tokenizer.encode("!")[0]
    with torch.no_grad():
        model.network.model.model.embed_tokens.weight[odd] = float("nan")
    good = requests_of(header=HEADER)
    replies = ask(model, *good[:2], Score(context=HEADER + "the!", continuations=(" fox", " dog")), *good[2:])
    assert isinstance(replies[2].error, ModelFailed)
    for request, reply in zip(good, [r for r in replies if isinstance(r, Scores)], strict=True):
        close(reply, plain(model, request))


def test_out_of_memory_halves_the_budget_and_goes_on(
    tiny: Path, model: HFModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small = open_model(tiny)
    assert small._packing.trusted()
    forward = small.network.packed

    def scarce(ids: torch.Tensor, **more: Any) -> Any:
        if len(ids) > 50:
            forward(ids, **more)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 GiB")
        return forward(ids, **more)

    monkeypatch.setattr(small.network, "packed", scarce)
    requests = requests_of(header=HEADER, questions=15)
    replies = ask(small, *requests)
    assert "Out of memory: going on with at most 48 tokens at once." in caplog.messages
    for one, other in zip(replies, ask(model, *requests), strict=True):
        close(one, other)


def test_memory_that_never_suffices_is_each_request_s_failure_and_others_trouble_the_plain_path_s(
    tiny: Path, model: HFModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = open_model(tiny)
    assert broken._packing.trusted()

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(broken.network, "packed", fail)
    requests = requests_of(header="")
    for one, other in zip(ask(broken, *requests), ask(model, *requests), strict=True):
        close(one, other)


def test_a_reader_that_goes_away_leaves_the_model_whole(model: HFModel) -> None:
    requests = requests_of(header=HEADER)
    replies = iter(model.run(requests))
    next(replies)
    if hasattr(replies, "close"):
        replies.close()
    for request, reply in zip(requests, ask(model, *requests), strict=True):
        close(reply, plain(model, request))


def test_replies_come_while_others_are_still_read(tiny: Path) -> None:
    model = open_model(tiny)
    requests = requests_of(header=HEADER, questions=12)
    joints = [fitted(request, model.prompter, model.context) for request in requests]
    answers: Iterator[Any] = TreeScorer(model.network, Budget(24)).scores(joints)
    next(answers)
    halfway = model.network.forwarded
    list(answers)
    assert halfway < model.network.forwarded / 2
