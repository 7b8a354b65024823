from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orca_guard.errors import BadInput, ModelFailed, PromptTooLong
from orca_guard.types import Decoding, Failure, Generate, Retrace, Retraced
from orca_guard_hf.model import HFModel
from tests.plugins.orca_guard_hf.conftest import Scripted, ask, open_model, user

NOISE = 1e-4
PROMPTS = ["the fox", "seven wizards box with five dozen jugs of liquor while the dog jumps", "a", "lazy lazy dog"]


def answered(model: HFModel, *requests: Generate) -> list[Retrace]:
    """What was asked and written, to be followed."""
    return [Retrace(request=r, ids=g.ids) for r, g in zip(requests, ask(model, *requests), strict=True)]


def ends(model: HFModel, prompt: str, ids: Sequence[int]) -> tuple[list[float], float]:
    """Shortfalls of every token and of the end, each from a forward of its own."""
    gaps = []
    row = model.prompter.tokenizer.encode(prompt, add_special_tokens=False)
    for token in [*ids, None]:
        with torch.no_grad():
            table = model.network.model(input_ids=torch.tensor([row])).logits[0, -1].log_softmax(-1)
        wanted = max(table[i] for i in model.limits.stop_ids) if token is None else table[token]
        gaps.append(float(table.max() - wanted))
        row = [*row, token]
    return gaps[:-1], gaps[-1]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_what_was_written_greedily_is_never_far_from_the_best(tiny: Path, batch_size: int) -> None:
    model = open_model(tiny, batch_size=batch_size)
    requests = [user(prompt) for prompt in PROMPTS]
    for trail, generation, found in zip(
        (trails := answered(model, *requests)), ask(model, *requests), ask(model, *trails), strict=True
    ):
        assert isinstance(found, Retraced)
        assert (found.prompt, found.text) == (generation.prompt, generation.text)
        assert len(found.shortfalls) == len(found.logprobs) == len(trail.ids) == generation.new_tokens
        assert max(found.shortfalls, default=0.0) < NOISE
        assert generation.finish in {"stop", found.finish}


def test_shortfalls_are_those_of_a_token_by_token_reference(model: HFModel) -> None:
    (trail,) = answered(model, user("the fox"))
    made_up = replace(trail, ids=(*trail.ids[:3], *trail.ids[5:2:-1]))
    (found,) = ask(model, made_up)
    gaps, end = ends(model, found.prompt, made_up.ids)
    assert found.shortfalls == pytest.approx(gaps, abs=NOISE)
    assert found.end == pytest.approx(end, abs=NOISE)


def test_an_invented_token_lies_below_the_best(model: HFModel) -> None:
    (trail,) = answered(model, user("the fox"))
    for at in range(len(trail.ids)):
        other = (trail.ids[at] + 1) % 300 + 6
        (found,) = ask(model, replace(trail, ids=(*trail.ids[:at], other, *trail.ids[at + 1 :])))
        assert found.shortfalls[at] > NOISE
        assert max(found.shortfalls[:at], default=0.0) < NOISE


def test_an_answer_that_was_cut_is_no_end(model: HFModel) -> None:
    """Taking tokens off the end makes another answer, and the model would have gone on."""
    (trail,) = answered(model, user("the fox"))
    (found,) = ask(model, replace(trail, ids=trail.ids[:4]))
    assert found.finish is None
    assert found.end > NOISE


def test_a_stop_string_ends_it_and_is_cut_off(model: HFModel) -> None:
    (generation,) = ask(model, user("the fox", tokens=20))
    stop = generation.text[4:7]
    request = user("the fox", decoding=Decoding(max_new_tokens=20, stop=(stop,)))
    (stopped,) = ask(model, request)
    (found,) = ask(model, Retrace(request=request, ids=stopped.ids))
    assert (found.text, found.finish) == (stopped.text, "stop")


def test_a_token_that_ends_the_turn_ends_it_where_the_model_wrote_one(model: HFModel) -> None:
    tokenizer = model.prompter.tokenizer
    said = tokenizer.encode("the fox", add_special_tokens=False)
    tokens = [*said, tokenizer.eos_token_id]
    (trail,) = answered(replace(model, network=Scripted(tokens, vocabulary=len(tokenizer))), user("x"))
    assert trail.ids == tuple(said)


def test_company_changes_nothing_but_noise(model: HFModel) -> None:
    trails = answered(model, *map(user, PROMPTS))
    for alone, together in zip((ask(model, trail)[0] for trail in trails), ask(model, *trails), strict=True):
        assert alone.logprobs == pytest.approx(together.logprobs, abs=NOISE)


@pytest.mark.parametrize(
    ("ids", "error", "told"),
    [
        ((5, 10**6), BadInput, "token 1000000 is recorded"),
        ((5, -1), BadInput, "token -1 is recorded"),
        ((5,) * 13, BadInput, "13 tokens are recorded of an answer that may have 12"),
    ],
)
def test_ids_that_cannot_be_are_refused_and_disturb_nobody(
    model: HFModel, ids: tuple[int, ...], error: type[Exception], told: str
) -> None:
    (trail,) = answered(model, user("the fox"))
    bad, good = ask(model, replace(trail, ids=ids), trail)
    assert isinstance(bad, Failure)
    assert isinstance(bad.error, error)
    assert told in str(bad.error)
    assert isinstance(good, Retraced)


def test_a_prompt_that_does_not_fit_is_refused(model: HFModel) -> None:
    (found,) = ask(model, Retrace(request=user("fox " * 400), ids=(5,)))
    assert isinstance(found, Failure)
    assert isinstance(found.error, PromptTooLong)


def test_an_empty_answer_has_an_end_alone(model: HFModel) -> None:
    (found,) = ask(model, Retrace(request=user("the fox"), ids=()))
    assert (found.text, found.shortfalls, found.logprobs) == ("", (), ())
    assert found.end > 0


def test_a_model_that_gives_no_numbers_proves_nothing(tiny: Path) -> None:
    broken = open_model(tiny)
    with torch.no_grad():
        broken.network.model.lm_head.weight.fill_(math.nan)
    (found,) = ask(broken, Retrace(request=user("the fox"), ids=(5, 6)))
    assert isinstance(found, Failure)
    assert isinstance(found.error, ModelFailed)
