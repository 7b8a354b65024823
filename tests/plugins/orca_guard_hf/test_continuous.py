from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from orca_guard.errors import BadInput, ModelFailed
from orca_guard.types import Decoding, Failure, Generate, Generation, Message, Partial, Request, Score
from orca_guard_hf.abreast import Run
from orca_guard_hf.budget import Budget
from orca_guard_hf.continuous import Continuous
from orca_guard_hf.feed import Feed
from orca_guard_hf.generation import generate
from orca_guard_hf.model import HFModel
from orca_guard_hf.slots import Shelf, Slots
from tests.plugins.orca_guard_hf.architectures import FITTING, write
from tests.plugins.orca_guard_hf.conftest import WORDS, ask, open_model, user

SYSTEM = "the quick brown fox jumps over a lazy dog while seven wizards box"

asked = st.lists(
    st.builds(
        lambda text, tokens, system, heat, stop: user(
            text,
            system=SYSTEM if system else None,
            decoding=Decoding(max_new_tokens=tokens, temperature=heat, stop=stop),
            seed=tokens,
        ),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join),
        st.integers(1, 14),
        st.booleans(),
        st.sampled_from([0.0, 0.0, 1.2]),
        st.sampled_from([(), ("o",), ("the",)]),
    ),
    min_size=2,
    max_size=10,
)


def plainly(model: HFModel, requests: Sequence[Generate]) -> list[Any]:
    """Each by itself on the plain path."""
    found = []
    for request in requests:
        replies = generate([request], network=model.network, prompter=model.prompter, limits=model.limits)
        found += [reply for _, reply in replies if not isinstance(reply, Partial)]
    return found


def continuously(
    model: HFModel, requests: Sequence[Request], *, slots: int, budget: int, room: int = 10_000
) -> list[Any]:
    assert model._packing.trusted()
    run = Continuous(
        network=model.network,
        prompter=model.prompter,
        limits=model.limits,
        slots=slots,
        budget=Budget(budget),
        room=room,
        shelf=Shelf(model.network),
    )
    found = {id(r): reply for r, reply in run.run(Feed(requests), lambda: iter(())) if not isinstance(reply, Partial)}
    assert not run.unanswered
    return [found[id(request)] for request in requests]


@pytest.fixture
def aloud(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Nothing may have gone another way than the one that is tested."""
    with caplog.at_level(logging.WARNING, "orca_guard"):
        yield caplog


# --- equal to the plain path -------------------------------------------------------------------


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requests=asked,
    slots=st.tuples(st.integers(1, 6), st.sampled_from([1, 2, 16])),
    budget=st.integers(8, 80),
    room=st.sampled_from([1, 150, 10_000]),
)
def test_any_requests_in_any_slots_and_pieces_have_the_plain_path_s_tokens(
    model: HFModel, requests: list[Generate], slots: tuple[int, int], budget: int, room: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orca_guard_hf.slots.GROUP", slots[1])
        found = continuously(model, requests, slots=slots[0], budget=budget, room=room)
    assert found == plainly(model, requests)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=asked, slots=st.integers(1, 6), budget=st.integers(8, 80))
def test_forwards_that_set_off_before_their_tokens_are_seen_change_nothing(
    model: HFModel, requests: list[Generate], slots: int, budget: int
) -> None:
    def follow(self: Slots, runs: Sequence[Run], ids: Tensor) -> Tensor:
        return self.read([replace(run, tokens=(i,)) for run, i in zip(runs, ids.tolist(), strict=True)])

    with pytest.MonkeyPatch.context() as patch:  # what a GPU does, whose slots stay where they are
        patch.setattr(Slots, "follow", follow)
        patch.setattr(Slots, "lasting", True)
        patch.setattr(Continuous, "_close_ranks", lambda _: None)
        ahead = continuously(model, requests, slots=slots, budget=budget)
    assert ahead == plainly(model, requests)


@pytest.mark.parametrize("name", FITTING)
def test_every_fitting_architecture_writes_what_transformers_generates(
    name: str, tmp_path: Path, aloud: pytest.LogCaptureFixture
) -> None:
    model = open_model(write(tmp_path, name), batch_size=3)
    requests = [user(" ".join(WORDS[n : 2 * n + 3]), tokens=3 + 2 * n, system=SYSTEM) for n in range(7)]
    for request, reply in zip(requests, ask(model, *requests), strict=True):
        prompt = torch.tensor([model.prompter.prompt(model.prompter.chat(request.messages)).ids])
        tokens = request.decoding.max_new_tokens
        ends = sorted(model.limits.stop_ids)
        how: dict[str, Any] = {"max_new_tokens": tokens, "do_sample": False, "eos_token_id": ends, "pad_token_id": 3}
        out = model.network.model.generate(prompt, attention_mask=torch.ones_like(prompt), **how)
        written = out[0, prompt.shape[1] :].tolist()
        assert list(reply.ids) == [i for i in written if i not in model.limits.stop_ids]
    assert not aloud.messages


def test_layers_on_disk_write_the_same(tiny: Path, model: HFModel, aloud: pytest.LogCaptureFixture) -> None:
    from tests.plugins.orca_guard_hf.test_placement import INTERLEAVED

    parts = open_model(tiny, device_map=INTERLEAVED, batch_size=2)
    requests = [user(word, tokens=4) for word in WORDS[:5]]
    assert ask(parts, *requests) == plainly(model, requests)
    assert not aloud.messages


# --- no token twice ----------------------------------------------------------------------------


def needed(replies: Sequence[Any]) -> int:
    """Tokens that have to be read when nothing is shared: a last token is written and not read."""
    return sum(reply.prompt_tokens + reply.new_tokens - 1 for reply in replies)


def test_rows_of_any_length_forward_what_is_needed_and_no_padding(tiny: Path) -> None:
    model = open_model(tiny, batch_size=4)
    requests = [user(" ".join(WORDS[n : n + 1 + n % 5]), tokens=2 + 3 * (n % 7)) for n in range(20)]
    assert model._packing.trusted()
    before = model.network.forwarded
    replies = ask(model, *requests)
    ended = sum(reply.finish == "stop" for reply in replies)
    assert model.network.forwarded - before <= 1.02 * (needed(replies) + ended)


def test_a_shared_system_message_is_read_once(tiny: Path) -> None:
    model = open_model(tiny, batch_size=4)
    requests = [user(f"{word} {word}", system=SYSTEM, tokens=3) for word in WORDS[:12]]
    assert model._packing.trusted()
    before = model.network.forwarded
    replies = ask(model, *requests)
    shared = len(model.prompter.tokenizer.encode(SYSTEM))
    assert model.network.forwarded - before <= needed(replies) + len(replies) - 11 * shared


def test_a_second_pass_reads_only_what_is_new_in_it(tiny: Path) -> None:
    model = open_model(tiny, batch_size=2)
    assert model._packing.trusted()
    first = [user(" ".join(WORDS[n : n + 10]), tokens=6) for n in range(2)]
    queue: list[Request] = list(first)

    def source() -> Iterator[Request]:
        while queue:
            yield queue.pop(0)

    before = model.network.forwarded
    for request, reply in model.run(source()):
        if request in first and isinstance(reply, Generation) and isinstance(request, Generate):
            queue.append(
                replace(request, messages=(*request.messages, Message("assistant", reply.text), Message("user", "?")))
            )
    again = [len(model.prompter.prompt(model.prompter.chat(request.messages)).ids) for request in first]
    assert model.network.forwarded - before < 2 * sum(again) + 40


# --- trouble -----------------------------------------------------------------------------------


def test_a_slot_is_refilled_as_soon_as_it_is_free(model: HFModel) -> None:
    pulled: list[int] = []

    def source() -> Iterator[Generate]:
        for number in range(6):
            pulled.append(number)
            yield user(f"number {number}", tokens=30 if number == 0 else 2)

    replies = replace(model, batch_size=2).run(source())
    done = []
    for request, _ in replies:
        done.append(request)
        assert len(pulled) <= len(done) + 2
    assert isinstance(done[-1], Generate)
    assert done[-1].decoding.max_new_tokens == 30


@pytest.mark.parametrize(("apart", "groups"), [(10_000, 1), (0, 2)])
def test_what_is_left_of_two_groups_goes_on_as_one_unless_their_lengths_are_far_apart(
    model: HFModel, monkeypatch: pytest.MonkeyPatch, apart: int, groups: int
) -> None:
    monkeypatch.setattr("orca_guard_hf.slots.GROUP", 2)
    monkeypatch.setattr("orca_guard_hf.continuous._APART", apart)
    monkeypatch.setattr("orca_guard_hf.abreast._ROUND", 1)
    monkeypatch.setattr("orca_guard_hf.abreast._SLACK", 0)
    taken: list[int] = []
    read = Slots.read

    def counted(self: Slots, runs: Sequence[Run]) -> Tensor:
        taken.append(len({self.group(run.slot).slots.start for run in runs}))
        return read(self, runs)

    monkeypatch.setattr(Slots, "read", counted)
    lengths = [(WORDS[0], 2), (f"{WORDS[0]} {WORDS[1]}", 12), (SYSTEM, 2), (SYSTEM, 12)]
    asked = [user(text, decoding=Decoding(max_new_tokens=tokens)) for text, tokens in lengths]
    found = continuously(model, asked, slots=4, budget=1000)
    assert [reply.ids for reply in found] == [reply.ids for reply in plainly(model, asked)]
    assert taken[0] == 2
    assert taken[8] == groups  # the two of twelve tokens


def test_other_kinds_are_answered_when_no_generation_waits(model: HFModel) -> None:
    long, short = user("the fox", tokens=40), user("a dog", tokens=2)
    scored = Score(context="the", continuations=(" fox", " dog"))
    order = [request for request, _ in replace(model, batch_size=3).run([long, scored, short])]
    assert order == [scored, short, long]


def test_one_that_is_no_number_fails_alone(tiny: Path, model: HFModel, aloud: pytest.LogCaptureFixture) -> None:
    broken = open_model(tiny, batch_size=2)
    assert broken._packing.trusted()
    odd = broken.prompter.tokenizer.encode("!")[0]
    with torch.no_grad():
        broken.network.model.model.embed_tokens.weight[odd] = float("nan")
    good = [user(word, tokens=5) for word in WORDS[:6]]
    replies = ask(broken, good[0], user("what!", tokens=5), *good[1:])
    assert isinstance(replies[1], Failure)
    assert isinstance(replies[1].error, ModelFailed)
    assert [reply for reply in replies if isinstance(reply, Generation)] == plainly(model, good)
    assert not aloud.messages


def test_bad_requests_and_late_ones_disturb_nobody(model: HFModel) -> None:
    good = [user(word, tokens=5) for word in WORDS[:5]]
    bad = [user("x", tokens=0), user("late", tokens=9, deadline=0.0), Generate(messages=())]
    replies = ask(replace(model, batch_size=2), bad[0], *good[:3], bad[1], *good[3:], bad[2])
    assert isinstance(replies[0].error, BadInput)
    assert (replies[4].finish, replies[4].text) == ("deadline", "")
    assert isinstance(replies[-1].error, BadInput)
    assert [*replies[1:4], *replies[5:7]] == plainly(model, good)


def test_a_deadline_ends_an_answer_whose_prompt_is_still_being_read(model: HFModel) -> None:
    late = user("fox " * 60, tokens=3, deadline=time.monotonic() + 1e-3)
    _, reply = continuously(model, [user("a", tokens=3), late], slots=2, budget=8)
    assert (reply.finish, reply.text) == ("deadline", "")


def test_a_reader_that_goes_away_leaves_the_model_whole(model: HFModel) -> None:
    requests = [user(word, tokens=8) for word in WORDS[:6]]
    replies = model.run(requests)
    next(iter(replies))
    replies.close()  # type: ignore[attr-defined]
    assert ask(model, *requests) == plainly(model, requests)


def test_out_of_memory_halves_the_budget_and_goes_on(
    tiny: Path, model: HFModel, monkeypatch: pytest.MonkeyPatch, aloud: pytest.LogCaptureFixture
) -> None:
    small = open_model(tiny, batch_size=4)
    assert small._packing.trusted()
    forward = small.network.packed_into

    def scarce(cache: Any, ids: torch.Tensor, **more: Any) -> torch.Tensor:
        logits = forward(cache, ids, **more)
        if len(ids) > 20:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        return logits

    monkeypatch.setattr(small.network, "packed_into", scarce)
    requests = [user(" ".join(WORDS[n : n + 9]), tokens=6) for n in range(7)]
    assert ask(small, *requests) == plainly(model, requests)
    said = [int(number) for number in re.findall(r"going on with at most (\d+) tokens", " ".join(aloud.messages))]
    assert said == [said[0] >> n for n in range(len(said))]
    assert said[-1] <= 20


def test_other_trouble_is_the_plain_path_s(
    tiny: Path, model: HFModel, monkeypatch: pytest.MonkeyPatch, aloud: pytest.LogCaptureFixture
) -> None:
    broken = open_model(tiny, batch_size=3)
    assert broken._packing.trusted()
    forward, calls = broken.network.packed_into, []

    def fail(*args: Any, **more: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) > 4:
            raise RuntimeError("the device is gone")
        return forward(*args, **more)

    monkeypatch.setattr(broken.network, "packed_into", fail)
    requests = [user(word, tokens=1 + n) for n, word in enumerate(WORDS[:8])]
    assert ask(broken, *requests) == plainly(model, requests)
    assert any("Going on batch by batch" in message for message in aloud.messages)
