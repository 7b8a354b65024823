"""The whole chain, in miniature: a tiny model learns and its directory loads in plain transformers."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


@pytest.mark.slow
def test_a_tiny_training_runs_and_loads(tmp_path: Path) -> None:
    from orca_guard_nano.recipe.evaluate import asker
    from orca_guard_nano.recipe.train import Recipe, train

    lines: list[str] = []
    recipe = Recipe(size="tiny", tokens=60_000, minutes=0.5, vocabulary=1024, batch=1024, device="cpu")
    spent = train(recipe, out=tmp_path, log=lines.append)
    assert spent["tokens"] >= 60_000 or spent["minutes"] >= 0.5
    assert spent["loss"] < 6.0  # chance is ln 1024 = 6.9
    assert len(asker(tmp_path)([("", "hello")])) == 1


def test_a_run_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    from orca_guard_nano.recipe.train import Recipe, Run

    recipe = Recipe(size="tiny", tokens=2_000, vocabulary=700, batch=512, device="cpu")
    first = Run(recipe, out=tmp_path, log=lambda _: None)
    first.finish()
    first.checkpoint()
    again = Run(recipe, out=tmp_path, log=lambda _: None)
    assert (again.trainer.steps, again.seen, again.pool) == (first.trainer.steps, first.seen, first.pool + 1)
    before, after = first.trainer.state(), again.trainer.state()
    assert all(torch.equal(a, b) for a, b in zip(before["muon"], after["muon"], strict=True))
    for part in ("weights", "average", "first", "second"):
        assert all(torch.equal(before[part][name], after[part][name]) for name in before[part])


def test_a_later_stage_starts_from_the_weights_of_the_one_before(tmp_path: Path) -> None:
    from orca_guard_nano.recipe.train import STAGES, Recipe, Run, kept_weights, train

    first = Recipe(size="tiny", tokens=1_000, vocabulary=700, batch=512, device="cpu")
    train(first, out=tmp_path / "first", log=lambda _: None)
    later = replace(STAGES["second"], size="tiny", tokens=1_000, vocabulary=700, batch=512, device="cpu")
    run = Run(later, out=tmp_path / "second", log=lambda _: None, start=tmp_path / "first")
    config, weights = kept_weights(tmp_path / "first")
    assert all(torch.equal(weights[name], run.trainer.fleet.weights[name]) for name in weights)
    assert run.config.hidden_size == config.hidden_size
    train(later, out=tmp_path / "second", log=lambda _: None, start=tmp_path / "first", chosen={"facts": "direct"})
    stages = json.loads((tmp_path / "second" / "training.json").read_text())["stages"]
    assert [spent["recipe"]["stage"] for spent in stages] == ["first", "second"]
    assert stages[1]["chosen"] == {"facts": "direct"}


def test_a_blend_lies_between_two_stages(tmp_path: Path) -> None:
    from orca_guard_nano.recipe.blend import blend
    from orca_guard_nano.recipe.train import STAGES, Recipe, kept_weights, train

    one, other, both = (tmp_path / name for name in ("first", "second", "blended"))
    train(Recipe(size="tiny", tokens=1_000, vocabulary=700, batch=512, device="cpu"), out=one, log=lambda _: None)
    later = replace(STAGES["second"], size="tiny", tokens=1_000, vocabulary=700, batch=512, device="cpu")
    train(later, out=other, log=lambda _: None, start=one)
    blend(one, other, out=both, share=0.25)
    first, second, between = (kept_weights(directory)[1] for directory in (one, other, both))
    for name, weight in between.items():
        assert torch.allclose(weight, 0.75 * first[name] + 0.25 * second[name], atol=1e-2)  # kept in half precision
    assert json.loads((both / "training.json").read_text())["stages"][-1]["blended"] == {
        "with": "first",
        "share": 0.25,
    }
    (one / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="tokenizers that differ"):
        blend(one, other, out=both, share=0.5)


@pytest.mark.parametrize("options", [["--stage", "second"], ["--start", "somewhere"]])
def test_a_stage_and_what_it_starts_from_go_together(options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from orca_guard_nano.recipe import train

    monkeypatch.setattr("sys.argv", ["train", "--out", "nowhere", *options])
    with pytest.raises(SystemExit):
        train.main()


def test_drills_thin_out() -> None:
    from orca_guard_nano.recipe.train import Recipe, drill_share

    recipe = Recipe(drills=0.1, early_drills=0.5, early_pools=10)
    assert [round(drill_share(n, recipe=recipe), 2) for n in (0, 5, 10, 99)] == [0.5, 0.3, 0.1, 0.1]


def test_wired_heads_look_one_place_back_and_find_what_followed() -> None:
    from orca_guard_nano.recipe import tokenizer
    from orca_guard_nano.recipe.train import build_model
    from orca_guard_nano.recipe.wiring import wire

    torch.manual_seed(0)
    model = build_model(tokenizer.build(vocabulary=700, count=50), size="small")
    wire(model)
    model.set_attn_implementation("eager")
    ids = torch.randperm(690)[:20].repeat(1, 2)
    looks, finds = model.model(input_ids=ids, output_attentions=True).attentions[:2]
    assert looks[0, 0, 5:, :].argmax(-1).eq(torch.arange(4, 39)).float().mean() > 0.9
    followed = finds[0, ::2, 20:, :].mean(0)
    right = torch.arange(1, 21)
    assert followed[torch.arange(20), right].mean() > 5 / 40  # several times what chance would give


def test_muon_steps_are_nearly_orthogonal() -> None:
    from orca_guard_nano.recipe.optimizer import orthogonal

    update = orthogonal(torch.randn(3, 16, 32))
    values = torch.linalg.svdvals(update)
    assert values.min() > 0.3
    assert values.max() < 1.6


def test_the_rate_rises_stays_and_falls() -> None:
    from orca_guard_nano.recipe.trainer import schedule

    assert [schedule(at, warmup=0.01, cooldown=0.35) for at in (0.0, 0.4, 1.0)] == [0.0, 1.0, 0.0]
