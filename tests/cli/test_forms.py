"""`orca-guard forms`: fitted on what a model writes, used when it is asked again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orca_guard_nano

Run = Callable[..., Any]
WEIGHTS = Path(orca_guard_nano.__file__).parent / "weights"


def test_fit_and_use(run: Run, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(WEIGHTS, model)
    (model / "forms.json").unlink(missing_ok=True)
    asked = ("What is {} + {}?", "Is {} more than {}?", "There were {} birds and {} cats. How many birds were there?")
    questions = [form.format(a, b) for form in asked for a in range(3, 11) for b in range(11, 16)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps({"prompt": q}) + "\n" for q in questions))
    result = run("forms", "fit", "--model", model, "--file", "q.jsonl", "--out", model / "forms.json")
    assert result.code == 0, result.err
    assert "| step-by-step |" in result.out
    assert json.loads(run("forms", "show", model / "forms.json", "--json").out)["direct"]
    row = json.loads(run("run", "--json", "--model", model, "What is 4 + 4?").out)
    assert row["form"].startswith("chosen inside the model; ")


def test_a_file_that_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    result = run("forms", "show", "x.json")
    assert result.code == 2
    assert "x.json is no form recogniser" in result.err
