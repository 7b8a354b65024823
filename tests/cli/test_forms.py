"""`orca-guard forms`: fitted on what a model writes, used when it is asked again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import orca_guard_nano
from orca_guard.cli.streams import plain
from orca_guard.contracts import SelectorFactory
from orca_guard.errors import UsageError
from orca_guard.forms import Forms

Run = Callable[..., Any]
WEIGHTS = Path(orca_guard_nano.__file__).parent / "weights"


ASKED = ("What is {} + {}?", "Is {} more than {}?", "There were {} birds and {} cats. How many birds were there?")
QUESTIONS = [form.format(a, b) for form in ASKED for a in range(3, 11) for b in range(11, 16)]


def written(folder: Path, *questions: str) -> Path:
    path = folder / "q.jsonl"
    path.write_text("".join(json.dumps({"prompt": q}) + "\n" for q in questions))
    return path


def test_fit_and_use(run: Run, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(WEIGHTS, model)
    (model / "forms.json").unlink(missing_ok=True)
    with written(tmp_path, *QUESTIONS).open("a") as file:
        file.write('{"prompt":\n')
    result = run("forms", "fit", "--model", model, "--file", "q.jsonl", "--out", model / "forms.json")
    assert result.code == 0, result.err
    assert "| step-by-step |" in result.out
    assert f"left out: line {len(QUESTIONS) + 1}: " in result.err
    assert json.loads(run("forms", "show", model / "forms.json", "--json").out)["direct"]
    row = json.loads(run("run", "--json", "--model", model, "What is 4 + 4?").out)
    assert row["form"].startswith("chosen inside the model; ")


def test_fit_needs_no_selector_and_no_guard_of_a_plugin(
    run: Run, tmp_path: Path, plugged: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipeline's selector is put in its place, and is not asked."""
    fitted: dict[str, Any] = {}

    def fit(texts: dict[str, list[str]], **_: Any) -> None:
        fitted.update(texts)
        raise UsageError("enough")

    monkeypatch.setattr("orca_guard.forms.fit", fit)
    plugged(selectors=lambda: [SelectorFactory(name="odd", summary="", make=lambda _names, _options: Odd())])
    (tmp_path / "p.toml").write_text('selector = { name = "odd" }\n')
    written(tmp_path, *QUESTIONS[:20])
    without = ("--no-plugin", "fixed", "--no-plugin", "hygiene")
    result = run(*without, "forms", "fit", "--pipeline", "p.toml", "--file", "q.jsonl", "--out", "f.json")
    assert result.err.endswith("orca-guard: enough\n")
    assert {"direct", "step-by-step", "extract-generate"} <= fitted.keys()
    assert all(len(texts) == 20 and all(texts) for texts in fitted.values())


class Odd:
    """A selector that never picks anything."""

    name = "odd"
    escalates = False

    def choose(self, question: object, attempts: object, /) -> None:
        return None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--file", "few.jsonl", "--out", "f.json"], "few.jsonl holds 19 different questions, and a form recogniser"),
        (["--file", "q.jsonl", "--out", "no/such/f.json"], "cannot write no/such/f.json: No such file"),
        (["--file", "q.jsonl", "--out", "."], "cannot write .: Is a directory"),
        (["--file", "q.jsonl", "--out", "f.json", "--strategy", "direct"], "No such option '--strategy'"),
        (["--file", "q.jsonl", "--out", "f.json", "--selector", "fixed"], "No such option '--selector'"),
        (["--file", "q.jsonl", "--out", "f.json", "--guard", "length"], "No such option '--guard'"),
        (["--file", "q.jsonl", "--out", "f.json", "--no-guard", "length"], "No such option '--no-guard'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("the model is not needed to say so")

    monkeypatch.setattr("orca_guard.api.load", load)
    written(tmp_path, *QUESTIONS[:19], *QUESTIONS[:19]).rename(tmp_path / "few.jsonl")
    written(tmp_path, *QUESTIONS)
    result = run("forms", "fit", *arguments)
    assert result.code == 2, result.err
    assert words in result.err
    assert not (tmp_path / "f.json").exists()


def test_the_place_that_was_tried_is_left_as_it_was(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise UsageError("no model")

    monkeypatch.setattr("orca_guard.api.load", load)
    written(tmp_path, *QUESTIONS)
    run("forms", "fit", "--file", "q.jsonl", "--out", "new.json")
    assert not (tmp_path / "new.json").exists()
    (tmp_path / "old.json").write_text("kept")
    run("forms", "fit", "--file", "q.jsonl", "--out", "old.json")
    assert (tmp_path / "old.json").read_text() == "kept"


def test_what_stands_in_a_recogniser_does_not_act_on_the_terminal(run: Run, tmp_path: Path) -> None:
    Forms(
        model={"weights": "sha256:aa"},
        seed=0,
        counts={"direct": {"words:1": 1}, "step-by-step": {"words:9": 1}},
        temperature=1.0,
        floor=0.5,
        likeness=-1.0,
        texts=(5, 1, 1),
        confusion={"\x1b]0;HACK\x07": {"direct": 1}},
    ).dump(tmp_path / "f.json")
    result = run("forms", "show", "f.json")
    assert "HACK" in result.out
    assert plain(result.out) == result.out


def test_a_file_that_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    result = run("forms", "show", "x.json")
    assert result.code == 2
    assert "x.json is no form recogniser" in result.err
