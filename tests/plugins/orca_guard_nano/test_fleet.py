"""Models side by side compute what each would alone, and what transformers computes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: E402

import orca_guard_nano  # noqa: E402
from orca_guard_nano.recipe import fleet, tokenizer  # noqa: E402
from orca_guard_nano.recipe.batches import Batch  # noqa: E402
from orca_guard_nano.recipe.train import build_model, fresh_weights  # noqa: E402
from orca_guard_nano.recipe.trainer import Trainer  # noqa: E402

WEIGHTS = Path(orca_guard_nano.__file__).parent / "weights"


@pytest.fixture(scope="module")
def models() -> list[LlamaForCausalLM]:
    read = tokenizer.build(vocabulary=700, count=50)
    made = []
    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        made.append(build_model(read, size="tiny").eval())
    return made


def _side_by_side(models: list[LlamaForCausalLM]) -> fleet.Fleet:
    return fleet.Fleet(models[0].config, fleet.stacked([fleet.weights_of(model) for model in models]))


def test_hidden_states_are_those_of_transformers(models: list[LlamaForCausalLM]) -> None:
    ids = torch.randint(1, 690, (3, 4, 33))
    mine = _side_by_side(models).hidden(ids).view(3, 4, 33, -1)
    for number, model in enumerate(models):
        theirs = model.model(input_ids=ids[number]).last_hidden_state
        assert torch.allclose(mine[number], theirs, atol=2e-5)


def test_losses_and_gradients_are_those_of_each_model_alone(models: list[LlamaForCausalLM]) -> None:
    ids, learned = torch.randint(1, 690, (3, 2, 16)), torch.rand(3, 2, 16) < 0.5
    learned[:, :, -1] = False
    learned[:, :, 0] = True
    cpu = torch.device("cpu")
    together = _side_by_side(models)
    losses = together.losses(ids, learned, device=cpu)
    losses.sum().backward()
    for number, model in enumerate(models):
        alone = _side_by_side([model])
        loss = alone.losses(ids[number : number + 1], learned[number : number + 1], device=cpu)
        loss.sum().backward()
        assert torch.allclose(losses[number], loss[0], rtol=2e-3)
        for name, weight in alone.weights.items():
            assert torch.allclose(together.weights[name].grad[number], weight.grad[0], atol=2e-3)


def test_answers_are_those_of_generate() -> None:
    read = AutoTokenizer.from_pretrained(WEIGHTS)
    model: Any = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32)
    questions = ("What is 17 + 26?", "capital of France", "Hi", "Text:\nThe hat is red.\n\nWhat colour is the hat?")
    prompts = [
        read(f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
        for q in questions
    ]
    one = fleet.weights_of(model)
    twice = fleet.Fleet(model.config, fleet.stacked([one, one]))
    end = model.config.eos_token_id
    forth, back = twice.answers([prompts, prompts[::-1]], end=end, limit=60)
    assert forth == back[::-1]
    for prompt, mine in zip(prompts, forth, strict=True):
        theirs = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=60)[0, len(prompt) :].tolist()
        assert mine == theirs[: theirs.index(end)]


def test_a_model_learns_the_same_beside_others() -> None:
    read = tokenizer.build(vocabulary=700, count=50)
    config, weights = fresh_weights(read, size="tiny", seeds=(1, 2))
    rng = np.random.default_rng(1)
    ids = rng.integers(1, 690, (2, 4, 32)).astype(np.int16)
    learned = np.ones(ids.shape, np.bool_)
    learned[:, :, -1] = False

    def trained(members: slice) -> Trainer:
        part = {name: weight[members] for name, weight in weights.items()}
        trainer = Trainer(
            config, part, device=torch.device("cpu"), matrix_rate=0.01, other_rate=0.003, average=0.9
        )  # fmt: skip
        for _ in range(5):
            trainer.step(Batch(ids[members], learned[members]), scale=1.0)
        return trainer

    both, second = trained(slice(0, 2)), trained(slice(1, 2))
    assert both.losses()[1] == pytest.approx(second.losses()[0], rel=0.02)
    assert both.losses()[1] < 6.4  # it began at ln 700 = 6.6
