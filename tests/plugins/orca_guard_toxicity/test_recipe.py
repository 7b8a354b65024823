"""The recipe in miniature: from made-up rows in their published forms to scorers that are measured and described."""

from __future__ import annotations

import json
import math
from argparse import ArgumentTypeError
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard import splits
from orca_guard_toxicity import ngrams
from orca_guard_toxicity.recipe import measures, terms
from orca_guard_toxicity.recipe import rows as labelled
from orca_guard_toxicity.recipe.rows import DAVIDSON, HATEMOJI, SPANS, TOXIGEN, Row
from tests.plugins.orca_guard_toxicity import published

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / ".." / "shared" / "data"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published.published(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def rows(data: Path) -> list[Row]:
    return labelled.read(data)


# --- names of groups -----------------------------------------------------------------------------


def test_a_groups_names_take_the_place_of_anothers() -> None:
    text = "A muslim girl and an Asian man; MUSLIMS, islamic art"
    assert terms.swapped(text, old="muslim", new="indian") == ("An indian girl and an Asian man; INDIANS, indian art")


def test_a_text_that_names_nobody_stays() -> None:
    text = "Blackboards and whitewash; the manual of menus"
    assert terms.mentioned(text) == []
    assert terms.swapped(text, old="black", new="women") == text


@pytest.mark.parametrize("group", terms.GROUPS)
@pytest.mark.parametrize("form", ["plural", "singular", "adjective"])
def test_what_a_name_becomes_is_a_name_of_that_group(group: str, form: str) -> None:
    term = getattr(terms.GROUPS[group], form)[0]
    if term not in terms.NOT_FOUND:
        assert terms.mentioned(f"the {term} there") == [group]


@given(st.sampled_from(list(terms.GROUPS)), st.sampled_from(list(terms.GROUPS)), st.integers(0, 99))
def test_after_a_swap_the_old_group_is_named_no_more(old: str, new: str, seed: int) -> None:
    text = " ".join(Random(seed).choice(getattr(terms.GROUPS[old], form)) for form in ("plural", "adjective"))
    assert set(terms.mentioned(terms.swapped(f"see the {text} there", old=old, new=new))) <= {new}


# --- rows ----------------------------------------------------------------------------------------


def test_rows_are_read_in_their_published_forms(rows: list[Row]) -> None:
    assert {row.source for row in rows} == {*labelled.LABELLED, labelled.HARMLESS}
    for row in rows:
        made_up = any(word in row.text for word in published.TOXIC)
        assert row.toxic == made_up or row.source == labelled.HARMLESS
        assert (row.degree > 0.5) == row.toxic
    assert any("😀" in row.text for row in rows if row.source == HATEMOJI)
    assert not any(row.text.startswith("b'") for row in rows if row.source == TOXIGEN)
    assert {row.attack for row in rows if row.source == DAVIDSON} == {0.0, 2 / 3}


def test_a_folder_without_a_set_is_refused_by_name(data: Path, tmp_path: Path) -> None:
    assert labelled.folder(str(data)) == data
    with pytest.raises(ArgumentTypeError, match=r"labeled_data\.csv\.gz is not there"):
        labelled.folder(str(tmp_path))


def test_sentences_of_one_post_are_in_one_part(rows: list[Row]) -> None:
    posts: dict[str, set[tuple[str, int, str]]] = {}
    for row in rows:
        if row.source == SPANS:
            posts.setdefault(row.post, set()).add((row.part, row.fold, row.cluster))
    assert posts
    assert all(len(found) == 1 for found in posts.values())


def test_posts_without_a_span_have_no_label(rows: list[Row], data: Path) -> None:
    assert all(not any(word in row.post.partition(".")[0] for word in published.TOXIC) for row in rows)


def test_training_has_nothing_of_a_validation_part_or_near_another_part(rows: list[Row]) -> None:
    training = labelled.training(rows)
    held = [row.text for row in rows if row.part != "train"]
    assert all(row.trainable and row.part == "train" for row in training)
    assert len(splits.distant([row.text for row in training], held=held)) == len(training)
    assert any(not row.trainable and row.part == "train" for row in rows)
    near = replace(rows[0], text=f"{held[0]} again", post="", kin=(), trainable=True)
    assert near not in labelled.training([*rows, near])


def test_kin_of_a_row_in_another_part_keep_it_out_of_training_and_choosing() -> None:
    texts = [
        f"{a} {b} {c}" for a in ("lake", "hill", "moon") for b in ("tea", "ink", "oak") for c in ("red", "shy", "odd")
    ]
    rows = [
        Row(text=text, source=HATEMOJI, toxic=True, degree=1.0, kin=(kin,))
        for text, kin in zip(texts, reversed(texts), strict=True)
    ]
    trained, chosen, reported = labelled.training(rows), labelled.choosing(rows), labelled.reporting(rows)
    assert trained
    assert reported
    assert all(splits.part(text) == "train" for row in trained for text in (row.text, *row.kin))
    assert all(splits.part(text) != "report" for row in chosen for text in (row.text, *row.kin))
    assert reported == [row for row in rows if splits.part(row.text) == "report"]


def test_nothing_is_chosen_on_what_is_near_a_row_that_is_reported_on(rows: list[Row]) -> None:
    reported, chosen = ([row.text for row in found] for found in (labelled.reporting(rows), labelled.choosing(rows)))
    assert len(chosen) > 20
    assert len(splits.distant(chosen, held=reported)) == len(chosen)


def test_a_digest_says_which_rows_and_labels_and_not_their_order(rows: list[Row]) -> None:
    assert labelled.digest(rows) == labelled.digest(rows[::-1])
    assert labelled.digest(rows[1:]) != labelled.digest(rows)
    assert labelled.digest([replace(rows[0], degree=0.25), *rows[1:]]) != labelled.digest(rows)


def test_rows_are_handed_on_without_those_of_training(rows: list[Row], tmp_path: Path) -> None:
    count = labelled.written(rows, out=tmp_path / "rows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    trained = {row.text for row in labelled.training(rows)}
    parts = {row.text: row.part for row in rows}
    assert count == len(lines) > 0
    assert all(line["text"] not in trained for line in lines)
    assert all(splits.part(line["origin"] or line["text"]) == parts[line["text"]] != "train" for line in lines)
    assert {line["set"] for line in lines} == set(labelled.LABELLED)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the published sets in ../shared/data")
def test_published_rows_have_the_counts_of_their_releases() -> None:
    found = {
        source.name: list(source.read(SHARED / source.folder / source.files[0])) for source in labelled.SOURCES[:3]
    }
    assert len(found[DAVIDSON]) == 24_783
    assert sum(not row.toxic for row in found[DAVIDSON]) == 4_163
    assert sum(row.attack == 1.0 for row in found[HATEMOJI]) == 2_387
    assert sum(row.toxic for row in found[TOXIGEN]) == 2_289
    assert len({row.group for row in found[TOXIGEN]}) == 13


# --- measures ------------------------------------------------------------------------------------

SCORED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: len({toxic for _, toxic in rows}) == 2
)


@given(SCORED)
def test_auroc_is_the_share_of_pairs_in_order(scored: list[tuple[int, bool]]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a, x in scored if x for b, y in scored if not y]
    scores, toxic = (np.array(column) for column in zip(*scored, strict=True))
    assert measures.auroc(scores, toxic) == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_of_one_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        measures.auroc(np.array([1.0, 2.0]), np.array([True, True]))


def test_a_scorer_is_not_above_itself_and_a_perfect_one_is_above_chance() -> None:
    chance = np.random.default_rng(0)
    toxic = chance.random(400) < 0.5
    guess, clusters = chance.random(400), [str(place // 2) for place in range(400)]
    draws = measures.resampled(clusters, seed=1, times=200)
    assert measures.compared(guess, guess, toxic=toxic, draws=draws)[2] == measures.Interval(value=0, low=0, high=0)
    best, middling, above = measures.compared(toxic * 1.0, guess, toxic=toxic, draws=draws)
    assert (best.value, best.low) == (1.0, 1.0)
    assert middling.low < 0.5 < middling.high
    assert above.low > 0.3


def test_clusters_are_drawn_whole() -> None:
    for weights in measures.resampled(["a", "a", "b", "c", "c"], seed=0, times=50):
        assert weights[0] == weights[1]
        assert weights[3] == weights[4]
        assert weights[0] + weights[2] + weights[3] == 3


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.floats(0, 1))
def test_a_threshold_keeps_to_its_bound_and_none_lower_does(values: list[int], most: float) -> None:
    scores = np.array(values, dtype=float)
    found = measures.threshold(scores, weights=np.ones(len(scores)), most=most)
    assert (scores >= found).mean() <= most + 1e-9
    assert all((scores >= level).mean() > most for level in scores if level < found)


# --- the second scorer ---------------------------------------------------------------------------


@given(st.text(max_size=80))
def test_features_have_length_one_whatever_the_text(text: str) -> None:
    held = ngrams.features(text)
    assert all(0 <= bucket < ngrams.BUCKETS for bucket in held)
    assert math.fsum(value**2 for value in held.values()) == pytest.approx(1 if held else 0)


def test_a_file_of_something_else_is_no_second_scorer(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(8, "float16")}, tmp_path / "ngrams.safetensors")
    with pytest.raises(ValueError, match="does not hold weights"):
        ngrams.Ngrams.load(tmp_path / "ngrams.safetensors")


# --- the whole chain -----------------------------------------------------------------------------

TINY: dict[str, Any] = {
    "epochs": 3, "vocabulary": 400, "width": 32, "layers": 1, "heads": 2, "batch": 1024,
    "rate": 0.01, "dropout": 0.0, "tweets": 200, "emoji": 200, "groups": 200, "sentences": 200, "harmless": 40,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from orca_guard_toxicity.recipe.train import Recipe, train

    out = tmp_path_factory.mktemp("made")
    train(Recipe(**TINY), rows=rows, out=out, log=lambda _: None)
    return out


def test_a_trained_encoder_loads_in_plain_transformers_and_knows_the_made_up_words(made: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(made, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(made)
    texts = ["the river and a snarg in the garden", "the river and a lamp in the garden"]
    with torch.inference_mode():
        bad, good = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.sigmoid()[:, 0].tolist()
    assert bad > good
    assert model.config.id2label == {0: "toxicity", 1: "identity_attack"}
    assert tokenizer.model_max_length == 128
    assert tokenizer.tokenize("Wîn\u200bdow 😀😀") == tokenizer.tokenize("window 😀 😀")


def test_a_tokenizer_of_the_same_texts_is_the_same() -> None:
    """The trainer itself breaks ties by the order of a hash table."""
    from orca_guard_toxicity.recipe import tokenizer

    chance = Random(0)
    texts = ["".join(chance.choice("abcdefghij 😀😡🙂'é") for _ in range(60)) for _ in range(200)]
    built = [tokenizer.build(texts, vocabulary=300) for _ in range(3)]
    assert len({each.to_str() for each in built}) == 1
    assert built[0].encode("abc 😀😡").tokens[0] == tokenizer.START
    assert built[0].encode("[CLS]").ids == [2, 2, 3]


def test_training_says_what_went_in_and_shares_no_row_with_the_second_scorer(made: Path, rows: list[Row]) -> None:
    spent = json.loads((made / "training.json").read_text())
    training = labelled.training(rows)
    assert spent["rows"]["encoder"] == labelled.described([row for row in training if row.fold])
    assert spent["rows"]["second"] == labelled.described([row for row in training if not row.fold])
    assert spent["history"][-1]["mean"] > 0.8


def test_a_run_that_was_cut_short_comes_to_the_same_weights(rows: list[Row], made: Path, tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer

    from orca_guard_toxicity.recipe.train import Feed, Recipe, Run

    recipe = Recipe(**TINY | {"epochs": 2, "teacher": 0.0, "dropout": 0.1})
    mine, dev = [row for row in labelled.training(rows) if row.fold], labelled.choosing(rows)
    tokenizer = Tokenizer.from_file(str(made / "tokenizer.json"))

    def run(out: Path) -> Run:
        out.mkdir(exist_ok=True)
        feed = Feed(mine, tokenizer=tokenizer, taught=[0.0] * len(mine), recipe=recipe)
        return Run(recipe, feed=feed, dev=dev, out=out, log=lambda _: None)

    whole = run(tmp_path / "whole")
    whole.finish()
    run(tmp_path / "cut").finish(stop_after=3)
    again = run(tmp_path / "cut")
    assert again.step == 3
    again.finish()
    assert all(torch.equal(weight, again.best[name]) for name, weight in whole.best.items())
    assert [past["mean"] for past in whole.history] == [past["mean"] for past in again.history]


def test_it_loads_through_detoxify_with_the_same_scores(made: Path, tmp_path: Path) -> None:
    detoxify = pytest.importorskip("detoxify")
    import torch

    from orca_guard_toxicity.recipe.evaluate import encoder
    from orca_guard_toxicity.recipe.export import checkpoint

    torch.save(checkpoint(made), tmp_path / "made.ckpt")
    loaded = detoxify.Detoxify(checkpoint=str(tmp_path / "made.ckpt"))
    texts = ["a snarg by the window", "bread and music 😀"]
    theirs = loaded.predict(texts)
    ours = encoder(made)(texts)
    assert list(theirs) == ["toxicity", "identity_attack"]
    assert ours.T.tolist() == [pytest.approx(theirs[label], abs=1e-5) for label in theirs]
    assert torch.load(tmp_path / "made.ckpt", weights_only=True)["config"]["dataset"]["args"]["classes"]


def test_long_texts_are_read_to_their_end_and_the_worst_window_counts(made: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from orca_guard_toxicity.recipe.evaluate import STRIDE, encoder

    text = "river table window garden " * 80 + "snarg blorp vexil grubnik " * 10
    ids = AutoTokenizer.from_pretrained(made)(text, add_special_tokens=False, verbose=False).input_ids
    windows = [[2, *ids[start : start + 126], 3] for start in range(0, len(ids) - STRIDE, 126 - STRIDE)]
    assert windows[-1][-2] == ids[-1]
    model = AutoModelForSequenceClassification.from_pretrained(made, dtype=torch.float32)
    with torch.inference_mode():
        each = [model(input_ids=torch.tensor([window])).logits.sigmoid()[0].tolist() for window in windows]
    rated = encoder(made)(["bread", text])
    assert rated[1].tolist() == pytest.approx(np.max(each, axis=0).tolist(), abs=1e-5)


def test_figures_and_card_come_from_held_out_rows(made: Path, data: Path, rows: list[Row]) -> None:
    from orca_guard_toxicity.recipe import card, evaluate, scorers

    figures = json.loads(json.dumps(evaluate.report(data, made, rows=rows)))
    for found in figures["separation"].values():
        assert found["encoder"]["low"] <= found["encoder"]["value"] <= found["encoder"]["high"]
        assert found["encoder"]["value"] > 0.6
    assert figures["rows"]["report"] == labelled.described(labelled.reporting(rows))
    harmless = [
        rate["fpr"]["value"] for name, rate in figures["points"]["encoder"]["dev"].items() if name in labelled.LABELLED
    ]
    assert sum(harmless) / len(harmless) <= scorers.MOST + 1e-9
    training = json.loads((made / "training.json").read_text())
    text = card.card(made, training=training, figures=figures)
    assert figures["weights"]["model.safetensors"] in text
    assert training["rows"]["encoder"]["digest"] in text
    assert not any(row.text in text for row in rows)


# --- what the rows allow -------------------------------------------------------------------------


def test_fewer_rows_of_one_set_are_a_part_of_more_and_nothing_else_changes(rows: list[Row]) -> None:
    from orca_guard_toxicity.recipe.bounds import fewer

    kept = [fewer(rows, share=share) for share in (0.0, 0.3, 0.7, 1.0)]
    assert kept[-1] == rows
    for less, more in pairwise(kept):
        assert len(less) < len(more)
        assert {(row.source, row.text) for row in less} < {(row.source, row.text) for row in more}
    assert kept[0] == [row for row in rows if row.source != TOXIGEN or row.part != "train"]


def test_bounds_tell_growth_with_rows_and_what_all_reach_together(
    made: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    from orca_guard_toxicity.recipe import bounds
    from orca_guard_toxicity.recipe.figures import allowed
    from orca_guard_toxicity.recipe.train import Recipe

    monkeypatch.setattr(bounds, "SHARES", (0.5, 1.0))
    monkeypatch.setattr(bounds, "OTHERS", (1,))
    lines: list[str] = []
    measured = bounds.Bounds(
        rows, recipe=Recipe(**TINY), baseline={"terms": "words"}, directory=made, log=lines.append
    )  # fmt: skip
    growth, together = measured.growth(), measured.together()
    whole = [row for row in labelled.training(rows) if row.fold and row.source == TOXIGEN]
    assert 0 < growth[0]["rows"] < growth[1]["rows"] == len(whole)
    assert (made / "bounds" / "seed-1" / "model.safetensors").read_bytes() != (made / "model.safetensors").read_bytes()
    assert set(together["sets"]) == set(labelled.LABELLED)
    assert all(each["scorer"]["value"] > 0.8 for each in together["sets"].values())
    trained = [line for line in lines if line.startswith("Training ")]
    assert trained == ["Training share-0.5", "Training seed-1"]
    page = allowed({"growth": growth, "together": together})
    assert f"| {growth[1]['rows']} |" in page
    assert "2 encoders" in page


def test_bounds_of_other_weights_are_not_shown() -> None:
    from orca_guard_toxicity.recipe.figures import page

    figures = json.loads((Path(ngrams.__file__).parent / "weights" / "figures.json").read_text("utf-8"))
    assert page(figures, bounds={"weights": "sha256:0"}) == page(figures)
