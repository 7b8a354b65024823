from __future__ import annotations

from pathlib import Path

import pytest
import torch

from orca_guard.errors import BadInput, PromptTooLong
from orca_guard.types import Embed, Message, Score
from orca_guard_hf.model import HFModel
from orca_guard_hf.scoring import encode_jointly
from tests.plugins.orca_guard_hf.conftest import ask, byte_level, llama, open_model

CHOICES = (" fox jumps", " dog", " a lazy wizard over the liquor", " fo")


def naive(model: HFModel, ids: tuple[int, ...], boundary: int) -> tuple[float, bool]:
    """Token by token, each from a forward of its own."""
    total, greedy = 0.0, True
    for at in range(boundary, len(ids)):
        with torch.no_grad():
            table = model.network.model(input_ids=torch.tensor([ids[:at]])).logits[0, -1].log_softmax(-1)
        total += float(table[ids[at]])
        greedy &= int(table.argmax()) == ids[at]
    return total, greedy


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_scores_equal_a_token_by_token_reference(tiny: Path, batch_size: int) -> None:
    model = open_model(tiny, batch_size=batch_size)
    request = Score(context="the quick brown", continuations=CHOICES)
    joint = encode_jointly(request, model.prompter)
    (scores,) = ask(model, request)
    for row, likelihood in zip(joint.rows, scores.likelihoods, strict=True):
        logprob, greedy = naive(model, row, joint.boundary)
        assert likelihood.logprob == pytest.approx(logprob, abs=1e-4)
        assert (likelihood.greedy, likelihood.tokens) == (greedy, len(row) - joint.boundary)


def test_a_conversation_is_rendered_with_the_turn_opened(model: HFModel) -> None:
    messages = (Message("system", "be"), Message("user", "the fox?"))
    joint = encode_jointly(Score(messages=messages, continuations=CHOICES), model.prompter)
    text = model.prompter.tokenizer.decode(joint.rows[0][: joint.boundary])
    assert text.endswith("<|im_start|>assistant\n")
    assert model.prompter.tokenizer.decode(joint.rows[0][joint.boundary :]) == CHOICES[0]


def test_what_the_model_writes_before_its_turn_is_context(orca: HFModel) -> None:
    joint = encode_jointly(Score(messages=(Message("user", "one?"),), continuations=("A", "B")), orca.prompter)
    tokens = orca.prompter.tokenizer.convert_ids_to_tokens(list(joint.rows[0]))
    assert tokens[joint.boundary - 1 :] == ["<0x0A>", "A"]


def test_greedy_is_said_of_what_the_model_would_write(model: HFModel) -> None:
    start = model.prompter.prompt(model.prompter.plain("the"), raw=True).ids
    with torch.no_grad():
        token = int(model.network.model(input_ids=torch.tensor([start])).logits[0, -1].argmax())
    text = model.prompter.tokenizer.decode([token])
    (scores,) = ask(model, Score(context="the", continuations=(text, " wizards")))
    assert [one.greedy for one in scores.likelihoods] == [True, False]


def test_a_token_across_the_join_moves_the_boundary_for_all(model: HFModel) -> None:
    prompter = model.prompter
    request = Score(context="the wiz", continuations=("ards", " dog"))
    joint = encode_jointly(request, prompter)
    alone = prompter.prompt(prompter.plain("the wiz"), raw=True).ids
    assert prompter.prompt(prompter.plain("the wizards"), raw=True).ids[: len(alone)] != alone
    assert joint.boundary < len(alone)
    assert [prompter.tokenizer.decode(row) for row in joint.rows] == ["the wizards", "the wiz dog"]
    assert all(len(row) > joint.boundary for row in joint.rows)


@pytest.mark.parametrize("choices", [(" fox",), (" fox", " fox jumps"), ("A", "A b")])
def test_no_continuation_is_ever_empty(model: HFModel, choices: tuple[str, ...]) -> None:
    (scores,) = ask(model, Score(context="the", continuations=choices))
    assert all(one.tokens > 0 for one in scores.likelihoods)


def test_an_empty_context_starts_from_the_first_token(model: HFModel) -> None:
    joint = encode_jointly(Score(continuations=("the fox", "a dog")), model.prompter)
    assert joint.boundary == 1
    assert {row[0] for row in joint.rows} == {model.prompter.bos}


def test_control_strings_in_a_continuation_are_text(model: HFModel) -> None:
    joint = encode_jointly(Score(context="a", continuations=("<|im_end|>", "b</s>")), model.prompter)
    assert not model.prompter.control_ids.intersection(i for row in joint.rows for i in row)


@pytest.mark.parametrize("continuations", [(), ("",), ("a", "")])
def test_nothing_to_score_is_bad_input(model: HFModel, continuations: tuple[str, ...]) -> None:
    (failure,) = ask(model, Score(context="a", continuations=continuations))
    assert isinstance(failure.error, BadInput)


def test_too_long_is_said_and_not_cut(model: HFModel) -> None:
    long = "fox " * 300
    for request in (Score(context=long, continuations=(" a",)), Embed(texts=(long,))):
        (failure,) = ask(model, request)
        assert isinstance(failure.error, PromptTooLong)


def test_an_embedding_is_the_mean_of_the_last_states(tmp_path: Path) -> None:
    tokenizer = byte_level(tmp_path, add_bos_token=True)
    llama(tmp_path, vocabulary=len(tokenizer))
    model = open_model(tmp_path)
    texts = ("the fox", "seven wizards box with five dozen jugs", "a")
    (embedding,) = ask(model, Embed(texts=texts))
    for text, vector in zip(texts, embedding.vectors, strict=True):
        ids = model.prompter.prompt(model.prompter.plain(text), raw=True).ids
        own = ids[1:] if ids[0] == model.prompter.bos else ids
        with torch.no_grad():
            states = model.network.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
        assert torch.tensor(vector).allclose(states[len(ids) - len(own) :].mean(0), atol=1e-5)


def test_an_empty_text_is_not_embedded(model: HFModel) -> None:
    (failure,) = ask(model, Embed(texts=("fox", "")))
    assert isinstance(failure.error, BadInput)
