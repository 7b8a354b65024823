"""How much of a difference is noise: two runs of one plan whose batches were composed differently."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from orca_guard.reports.comparing import SCHEMA, document, page, schema, terminal
from orca_guard.reports.comparison import compare
from tests.auditing import MODELS, arm, audited, host, request

FLAKY = 5


def run_of(store: Path, name: str, *, unit: int, shift: int = 0, limit: int | None = None) -> Path:
    """A model that writes otherwise, to every fifth prompt, where something is shifted."""

    def writes(prompt: str) -> str:
        wrong = shift and len(prompt) % FLAKY == 0
        return "wrong" if wrong else MODELS["oracle"].writes(prompt)

    by = host({"oracle": replace(MODELS["oracle"], writes=writes)})
    audit, _ = audited(request(arm(), unit=unit, limit=limit), store, name=name, by=by)
    return audit.bundle.root


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run_of(folder, "one", unit=4)
    run_of(folder, "other", unit=16, shift=1)
    run_of(folder, "fewer", unit=4, limit=20)
    return folder


def test_items_that_came_out_differently_are_the_noise(store: Path) -> None:
    found = compare(store / "one", store / "other", faults={})
    noise = {one.benchmark: one for one in found.noise}
    prompts = [json.loads(line) for line in (store / "one" / "texts-0.jsonl").read_text("utf-8").splitlines()]
    assert prompts, "the run has texts"
    row = next(row for row in found.rows if row.benchmark == "basics-questions")
    one = noise["basics-questions"]
    assert one.flipped == row.gained + row.lost > 0
    assert one.share == pytest.approx(one.flipped / one.n)
    assert one.low is not None
    assert one.high is not None
    assert one.share is not None
    assert one.low < one.share < one.high
    assert noise["basics-choices"].flipped == 0
    assert "unit: 4 → 16" in found.changes
    for told in (page(found), _plain(terminal(found))):
        assert f"{one.flipped} of {one.n}" in told


def _plain(renderable: object) -> str:
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    Console(file=out, width=200, color_system=None).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize(
    "pair", [lambda s: (s / "one", s / "fewer"), lambda s: (s / "one", s / "one")], ids=["another plan", "itself"]
)
def test_anything_else_is_no_noise(store: Path, pair: Callable[[Path], tuple[Path, Path]]) -> None:
    assert not compare(*pair(store), faults={}).noise


def test_a_comparison_keeps_to_its_shipped_schema(store: Path) -> None:
    known = json.loads(SCHEMA.read_text("utf-8"))
    assert known == schema(), "write it anew: python docs/build.py"
    validator = jsonschema.Draft202012Validator(known)
    validator.check_schema(known)
    told = json.loads(document(compare(store / "one", store / "other", faults={})))
    validator.validate(told)
    assert not validator.is_valid(told | {"noise": 3})
