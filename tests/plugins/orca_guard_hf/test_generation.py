from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput, ModelFailed, PromptTooLong
from orca_guard.types import (
    Decoding,
    Embed,
    Embedding,
    Exhibit,
    Failure,
    Generate,
    Generation,
    Judge,
    Partial,
    Question,
    Request,
    Score,
    Scores,
)
from orca_guard_hf.model import HFModel
from orca_guard_hf.sampling import Sampler
from tests.plugins.orca_guard_hf.conftest import Scripted, ask, byte_level, llama, open_model, user

PROMPTS = ["the fox", "seven wizards box with five dozen jugs of liquor while the dog jumps", "a", "lazy lazy dog"]
ABSURD: list[tuple[str, Any]] = [
    ("temperature", -1.0),
    ("temperature", math.nan),
    ("top_p", 0.0),
    ("top_p", 2.0),
    ("top_k", -1),
]
SAMPLED = Decoding(max_new_tokens=12, temperature=1.3, top_p=0.9, top_k=50)


def scripted(model: HFModel, text: str, **more: Any) -> HFModel:
    """The model's tokenizer with a network that says `text`, then ends."""
    tokenizer = model.prompter.tokenizer
    tokens = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
    return replace(model, network=Scripted(tokens, vocabulary=len(tokenizer), **more))


def test_greedy_in_a_batch_is_greedy_alone(model: HFModel) -> None:
    requests = [user(prompt) for prompt in PROMPTS]
    together = ask(model, *requests)
    assert together == [ask(model, request)[0] for request in requests]
    assert len({generation.text for generation in together}) > 1


def test_greedy_is_what_transformers_generates(model: HFModel) -> None:
    (generation,) = ask(model, user("the fox"))
    tokenizer, network = model.prompter.tokenizer, model.network.model
    ids = torch.tensor([tokenizer.encode(generation.prompt, add_special_tokens=False)])
    out = network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert generation.text == model.prompter.decode(out[0, ids.shape[1] :].tolist()).rstrip("\ufffd")
    assert generation.prompt_tokens == ids.shape[1]


@pytest.mark.parametrize("decoding", [Decoding(max_new_tokens=12), SAMPLED], ids=["greedy", "sampled"])
def test_how_sure_it_was_is_what_the_network_says_of_its_tokens(model: HFModel, decoding: Decoding) -> None:
    """At temperature 1 and without cuts, whatever it was chosen with; alone and in a batch."""
    for generation in ask(model, *(user(prompt, decoding=decoding, seed=3) for prompt in PROMPTS)):
        assert generation.ids
        before = model.prompter.tokenizer.encode(generation.prompt, add_special_tokens=False)
        with torch.inference_mode():
            logits = model.network.model(torch.tensor([[*before, *generation.ids]])).logits[0].float()
        chances = logits[len(before) - 1 : -1].log_softmax(-1)
        told = chances[torch.arange(len(generation.ids)), torch.tensor(generation.ids)]
        assert generation.logprob == pytest.approx(told.mean().item(), abs=1e-4)
        entropies = -(chances.exp() * chances).sum(-1)
        assert generation.entropy == pytest.approx(entropies.mean().item(), abs=1e-4)


def test_a_sample_depends_on_its_seed_and_not_on_its_company(model: HFModel) -> None:
    requests = [user(prompt, decoding=SAMPLED, seed=seed) for prompt in PROMPTS for seed in (1, 2)]
    together = ask(model, *requests)
    backwards = ask(replace(model, batch_size=3), *reversed(requests))[::-1]
    assert together == backwards == [ask(model, request)[0] for request in requests]
    assert together[0].text != together[1].text


def test_greedy_and_sampled_share_a_batch(model: HFModel) -> None:
    greedy, sampled = user("the fox"), user("the fox", decoding=SAMPLED, seed=5)
    assert ask(model, greedy, sampled) == [*ask(model, greedy), *ask(model, sampled)]


def test_a_tiny_nucleus_is_greedy(model: HFModel) -> None:
    for decoding in (replace(SAMPLED, top_p=1e-9), replace(SAMPLED, top_k=1)):
        assert ask(model, user("the fox", decoding=decoding, seed=3))[0].text == ask(model, user("the fox"))[0].text


@given(seed=st.integers(0, 2**63 - 1), top_k=st.integers(0, 4), top_p=st.floats(0.01, 1))
def test_sampler_stays_within_what_is_kept(seed: int, top_k: int, top_p: float) -> None:
    chances = torch.tensor([0.4, 0.3, 0.2, 0.1])
    drawn = Sampler(Decoding(temperature=1, top_k=top_k, top_p=top_p), seed=seed).draw(chances.log())
    before = float(chances[:drawn].sum())
    assert drawn == 0 or ((not top_k or drawn < top_k) and before < top_p + 1e-6)


def test_a_temperature_close_to_nothing_is_greedy() -> None:
    assert Sampler(Decoding(temperature=1e-320), seed=1).draw(torch.tensor([1.0, 9.0, 8.9])) == 1


def test_sampler_draws_by_chance() -> None:
    sampler = Sampler(Decoding(temperature=1), seed=7)
    drawn = Counter(sampler.draw(torch.tensor([0.5, 0.25, 0.25]).log()) for _ in range(2000))
    assert [round(drawn[i] / 2000, 1) for i in range(3)] == [0.5, 0.2, 0.2] or abs(drawn[0] - 1000) < 80


def test_requests_are_pulled_a_batch_at_a_time(model: HFModel) -> None:
    pulled: list[int] = []

    def source() -> Iterator[Generate]:
        for number in range(5):
            pulled.append(number)
            yield user(f"number {number}", tokens=2)

    seen = [len(pulled) for _ in replace(model, batch_size=2).run(source())]
    assert seen == [2, 2, 4, 4, 5]


def test_a_reply_may_bring_the_next_request(model: HFModel) -> None:
    queue: list[Request] = [user("first", tokens=2)]

    class Growing:
        def __iter__(self) -> Iterator[Request]:
            return self

        def __next__(self) -> Request:
            if not queue:
                raise StopIteration
            return queue.pop(0)

    answered = 0
    for request, _ in model.run(Growing()):
        answered += 1
        if isinstance(request, Generate) and request.name == "answer" and answered < 3:
            queue.append(user(f"again {answered}", tokens=2))
    assert answered == 3


def test_kinds_may_be_mixed(model: HFModel) -> None:
    requests: list[Any] = [
        user("the fox", tokens=3),
        Score(context="the", continuations=(" fox", " dog")),
        user("the dog", tokens=3),
        Embed(texts=("the fox",)),
    ]
    kinds = [type(reply) for reply in ask(model, *requests)]
    assert kinds == [Generation, Scores, Generation, Embedding]


def test_equal_requests_get_a_reply_each(model: HFModel) -> None:
    one, two = user("the fox", tokens=3), user("the fox", tokens=3)
    assert one == two
    first, second = ask(model, one, two)
    assert first == second


def test_stop_strings_are_cut_at_the_earliest(model: HFModel) -> None:
    speaker = scripted(model, "the fox jumps over the dog")
    request = user("?", stop=("dog", "jumps"), decoding=Decoding(max_new_tokens=40, stop=("over",)))
    (generation,) = ask(speaker, request)
    assert (generation.text, generation.finish) == ("the fox ", "stop")


def test_limits_end_an_answer(model: HFModel) -> None:
    speaker = scripted(model, "the quick brown fox")
    whole, cut, tighter = ask(
        speaker, user("?", tokens=40), user("?", tokens=2), user("?", tokens=40, max_new_tokens=1)
    )
    assert (whole.text, whole.finish) == ("the quick brown fox", "stop")
    assert (cut.finish, cut.new_tokens) == ("length", 2)
    assert (tighter.finish, tighter.new_tokens) == ("length", 1)
    assert whole.text.startswith(cut.text)


def test_a_deadline_ends_an_answer_soon(model: HFModel) -> None:
    speaker = scripted(model, "the fox " * 20, pause=lambda: time.sleep(0.02))
    late, on_time = user("?", tokens=30, deadline=time.monotonic() + 0.1), user("?", tokens=30)
    started = time.monotonic()
    (generation,) = ask(speaker, late)
    assert generation.finish == "deadline"
    assert time.monotonic() - started < 0.5
    assert [g.finish for g in ask(speaker, replace(late, deadline=0.0), on_time)] == ["deadline", "length"]


@pytest.mark.parametrize("text", ["the fox — naïve 🦊 jumps STAY STO", "ünï 🦊🦊 STOP and more"])
def test_a_stream_grows_and_never_shows_what_is_taken_back(model: HFModel, text: str) -> None:
    request = user("?", tokens=80, stop=("STOP",), stream=True)
    replies = [reply for _, reply in scripted(model, text).run([request])]
    *partials, generation = replies
    assert isinstance(generation, Generation)
    assert generation.text == text.split("STOP", maxsplit=1)[0]
    shown = [partial.text for partial in partials if isinstance(partial, Partial)]
    assert len(shown) > 5
    assert shown == sorted(set(shown), key=len)
    assert all(generation.text.startswith(one) and "\ufffd" not in one for one in shown)
    assert not any(one.endswith(("S", "ST", "STO")) for one in shown)


def test_only_streams_have_partial_replies(model: HFModel) -> None:
    plain, streamed = user("the fox"), user("the fox", stream=True)
    kinds = Counter((request.stream, type(reply)) for request, reply in model.run([plain, streamed]))  # type: ignore[union-attr]
    assert kinds[False, Partial] == 0
    assert kinds[True, Partial] > 3
    assert kinds[False, Generation] == kinds[True, Generation] == 1


def test_special_tokens_are_not_text(model: HFModel) -> None:
    tokenizer = model.prompter.tokenizer
    tokens = [*tokenizer.encode("fox<|im_start|>dog<pad>", add_special_tokens=False), tokenizer.eos_token_id]
    speaker = replace(model, network=Scripted(tokens, vocabulary=len(tokenizer)))
    assert ask(speaker, user("?"))[0].text == "foxdog"


def test_a_row_that_is_over_does_not_wait_for_the_others(model: HFModel) -> None:
    long, short = user("?", tokens=30, stream=True), user("?", tokens=2)
    replies = list(scripted(model, "the fox " * 20).run([long, short]))
    order = [(request is long, type(reply)) for request, reply in replies]
    assert order.index((False, Generation)) < order.index((True, Generation)) - 20


def test_a_prompt_too_long_fails_alone(model: HFModel) -> None:
    assert model.context == 256
    long, short = user("fox " * 300), user("fox")
    failure, generation = ask(model, long, short)
    assert isinstance(failure.error, PromptTooLong)
    assert failure.error.excess == failure.error.prompt + 12 - 256
    assert isinstance(generation, Generation)
    (fits,) = ask(model, user("fox", tokens=200))
    assert isinstance(fits, Generation)


@pytest.mark.parametrize(
    "request_",
    [
        user("x", tokens=0),
        user("x", tokens=-3),
        Generate(messages=()),
        user("x", max_new_tokens=0),
        *(user("x", decoding=Decoding(**{name: value})) for name, value in ABSURD),
    ],
)
def test_absurd_requests_fail_alone(model: HFModel, request_: Generate) -> None:
    failure, generation = ask(model, request_, user("x", tokens=2))
    assert isinstance(failure.error, BadInput)
    assert isinstance(generation, Generation)


def test_half_a_character_fails_alone(model: HFModel) -> None:
    failure, generation, scores = ask(model, user("a\ud800b"), user("x", tokens=2), Score(continuations=("\udfff",)))
    assert "half a character" in str(failure.error)
    assert isinstance(failure.error, BadInput)
    assert isinstance(generation, Generation)
    assert isinstance(scores.error, BadInput)


def test_a_long_prompt_is_counted_without_a_warning(
    model: HFModel, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.prompter.tokenizer, "model_max_length", 8)
    ask(model, user("fox " * 300), user("fox " * 20))
    assert capfd.readouterr().err == ""


def test_what_is_no_number_is_a_failure(tiny: Path) -> None:
    broken = open_model(tiny)
    with torch.no_grad():
        broken.network.model.lm_head.weight[5] = float("nan")
    generation, scores = ask(broken, user("x"), Score(context="a", continuations=("b",)))
    for failure in (generation, scores):
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, ModelFailed)
        assert "not a number" in str(failure.error)


def test_trouble_in_the_network_is_each_request_s_failure(model: HFModel) -> None:
    def fail() -> None:
        raise torch.OutOfMemoryError("out of memory while asking for 4 GiB")

    failures = ask(scripted(model, "x", pause=fail), user("a"), user("b"))
    assert all(isinstance(f, Failure) and isinstance(f.error, ModelFailed) for f in failures)
    assert "batch size" in str(failures[0].error)


def test_what_it_does_not_answer_is_a_failure(model: HFModel) -> None:
    exhibit = Exhibit(text="x", stage="input", part="user", question=Question.of("x"))
    (failure,) = ask(model, Judge(exhibit=exhibit, target="g"))
    assert "cannot answer Judge" in str(failure.error)
    assert Judge not in model.requests


def test_an_architecture_without_position_ids_answers_alike_in_a_batch(tmp_path: Path) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    vocabulary = len(byte_level(tmp_path))
    torch.manual_seed(0)
    config = BloomConfig(vocab_size=vocabulary, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.4)
    BloomForCausalLM(config).save_pretrained(tmp_path)
    bloom = open_model(tmp_path)
    requests = [user(prompt) for prompt in PROMPTS]
    assert ask(bloom, *requests) == [ask(bloom, request)[0] for request in requests]


def test_an_architecture_without_a_key_value_cache_answers(tmp_path: Path) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    vocabulary = len(byte_level(tmp_path))
    MambaForCausalLM(MambaConfig(vocab_size=vocabulary, hidden_size=16, num_hidden_layers=1)).save_pretrained(tmp_path)
    mamba = open_model(tmp_path)
    assert not mamba.network.remembers
    requests = [user(prompt, tokens=3) for prompt in PROMPTS[:2]]
    assert ask(mamba, *requests) == [ask(mamba, request)[0] for request in requests]


def test_an_architecture_that_hides_its_state_answers(tmp_path: Path) -> None:
    from transformers import RecurrentGemmaConfig, RecurrentGemmaForCausalLM

    vocabulary = len(byte_level(tmp_path))
    config = RecurrentGemmaConfig(vocab_size=vocabulary, hidden_size=32, num_hidden_layers=3, num_attention_heads=4)
    RecurrentGemmaForCausalLM(config).save_pretrained(tmp_path)
    hidden = open_model(tmp_path)
    requests = [user(prompt, tokens=3) for prompt in PROMPTS[:2]]
    assert ask(hidden, *requests) == [ask(hidden, request)[0] for request in requests]
    assert not hidden.network.remembers


def test_threads_get_what_one_gets(model: HFModel) -> None:
    from concurrent.futures import ThreadPoolExecutor

    requests = [user(f"{prompt} {n}", tokens=4) for prompt in PROMPTS for n in range(3)]
    alone = [ask(model, request)[0] for request in requests]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda request: ask(model, request)[0], requests)) == alone


def test_llama_helper_is_deterministic(tmp_path: Path) -> None:
    for name in ("a", "b"):
        llama(tmp_path / name, vocabulary=40)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
