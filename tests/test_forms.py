"""The form recogniser: it recognises, abstains, holds for one model only, and survives a round trip."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard.forms import UNKNOWN, Forms, Recognised, describe, fit

MODEL = {"weights": "sha256:aa"}


def direct(draw: random.Random) -> str:
    return draw.choice(["{}", "{} {}.", "{}."]).format(draw.choice(["Paris", "red", "Rome"]), draw.randrange(99))


def step_by_step(draw: random.Random) -> str:
    steps = [
        f"Step {n}: {draw.randrange(50)} + {draw.randrange(50)} = {draw.randrange(99)}"
        for n in range(1, 2 + draw.randrange(4))
    ]
    return "\n".join([*steps, f"So it is {draw.randrange(99)}.", f"Answer: {draw.randrange(99)}"])


def recall(draw: random.Random) -> str:
    facts = [
        f"- The {draw.choice(['sea', 'king', 'town'])} is {draw.choice(['old', 'far', 'near'])}." for _ in range(3)
    ]
    return "\n".join(["Recall:", *facts, f"Answer: {draw.choice(['sea', 'king'])} {draw.randrange(999)}"])


def written(seed: int = 1, size: int = 80) -> dict[str, list[str]]:
    draw = random.Random(seed)
    makers = {"direct": direct, "step-by-step": step_by_step, "recall-generate": recall}
    return {form: [make(draw) for _ in range(size)] for form, make in makers.items()}


@pytest.fixture(scope="module")
def forms() -> Forms:
    return fit(written(), model=MODEL)


def test_recognises_each_form(forms: Forms) -> None:
    for form, texts in written(seed=2).items():
        found = [forms.recognise(text, model=MODEL).form for text in texts]
        assert found.count(form) > 0.9 * len(found)
        assert all(each in {form, None} for each in found)


def test_the_confusion_is_of_held_out_texts_and_counts_the_unknown(forms: Forms) -> None:
    assert sum(sum(row.values()) for row in forms.confusion.values()) == forms.texts[2]
    assert {name for row in forms.confusion.values() for name in row} <= {*forms.counts, UNKNOWN}
    assert sum(row.get(form, 0) for form, row in forms.confusion.items()) > 0.9 * forms.texts[2]
    assert sum(forms.texts) == 240


@pytest.mark.parametrize(
    "text", ["def f(x):\n    return x\n\nclass B:\n    pass", "{}\n[]\n<>\n%%\n&&", "¿?\n¿?\n¿?\n¿?\n§§\n§§"]
)
def test_what_is_unlike_everything_is_unknown(forms: Forms, text: str) -> None:
    found = forms.recognise(text, model=MODEL)
    assert found.form is None
    assert found.reason


@pytest.mark.parametrize("text", ["", " \n"])
def test_no_text_has_no_form(forms: Forms, text: str) -> None:
    assert forms.recognise(text, model=MODEL) == Recognised(None, 0.0, "there is no text")


def test_another_models_recogniser_is_not_used_and_the_trace_says_so(forms: Forms) -> None:
    text = written()["recall-generate"][0]
    line = forms.describe(text, model={"weights": "sha256:bb"})
    assert line.startswith("chosen inside the model; form unknown")
    assert "another model: weights differs" in line
    assert forms.recognise(text, model={**MODEL, "torch": "9"}).form == "recall-generate"


def test_a_floor_that_nothing_reaches_where_forms_cannot_be_told_apart() -> None:
    same = [f"It is {n}." for n in range(100)]
    forms = fit({"one": same, "two": [f"{text} " for text in same]}, model=MODEL)
    assert forms.recognise(same[0], model=MODEL).form is None


def test_describe_says_exactly_this() -> None:
    step = Recognised("step-by-step", 0.972)
    assert describe(step) == "chosen inside the model; recognised form step-by-step (0.97)"
    assert describe(Recognised("direct", 1.0)) == "chosen inside the model; recognised form direct (0.99)"
    assert describe(Recognised(None, 0.4, "below")) == "chosen inside the model; form unknown"


def test_fitting_is_reproducible_and_depends_on_the_seed(forms: Forms) -> None:
    assert fit(written(), model=MODEL) == forms
    assert fit(written(), model=MODEL, seed=1) != forms


@pytest.mark.parametrize(
    ("texts", "model"),
    [({"a": ["x"] * 50}, MODEL), ({"a": ["x"], "b": ["y"]}, MODEL), (written(), {}), ({}, MODEL)],
)
def test_too_little_to_fit_is_refused(texts: dict[str, list[str]], model: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        fit(texts, model=model)


# --- files ---------------------------------------------------------------------------------------


def test_round_trip(forms: Forms, tmp_path: Path) -> None:
    path = tmp_path / "forms.json"
    forms.dump(path)
    assert Forms.load(path) == forms
    first = path.read_bytes()
    Forms.load(path).dump(path)
    assert path.read_bytes() == first


def test_bad_files_are_refused(forms: Forms, tmp_path: Path) -> None:
    path = tmp_path / "forms.json"
    with pytest.raises(BadInput, match="no form recogniser"):
        Forms.load(path)
    forms.dump(path)
    good = json.loads(path.read_text())
    changes: tuple[dict[str, object], ...] = (
        {"more": 1},
        {"format": 2},
        {"counts": {}},
        {"temperature": 0},
        {"model": {}},
        {"floor": "x"},
    )
    for change in changes:
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(BadInput, match="no form recogniser"):
            Forms.load(path)
    path.write_bytes(b"\xff\x00")
    with pytest.raises(BadInput, match="no form recogniser"):
        Forms.load(path)


@given(text=st.text())
def test_any_text_gets_a_form_or_none(forms: Forms, text: str) -> None:
    found = forms.recognise(text, model=MODEL)
    assert 0 <= found.probability <= 1
    assert (found.form is None) == bool(found.reason)
    assert describe(found).startswith("chosen inside the model; ")
