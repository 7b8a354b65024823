"""The least that can be read, and what is written down of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import transformers

from benchmarks.engine.tokens import MARKS, PAGE, RESULTS, SIZES, least, markdown
from tests.plugins.orca_guard_hf.conftest import byte_level, llama

PEER = Path(__file__).parents[3] / "build/bench/peer/bin/python"
ROWS = [["abc", [" d", " de"]], ["abc", [" x"]], ["b", [" d"]]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    llama(folder, vocabulary=len(byte_level(folder)))
    return folder


def encoded(model: Path, text: str) -> tuple[int, ...]:
    loader: Any = transformers.AutoTokenizer
    return tuple(loader.from_pretrained(model).encode(text, add_special_tokens=False))


def padded(lengths: list[int], size: int) -> int:
    """Tokens of rows in batches, longest first, each as long as the longest of its batch."""
    ordered = sorted(lengths, reverse=True)
    return sum(ordered[n] * len(ordered[n : n + size]) for n in range(0, len(ordered), size))


def test_the_least_is_every_prefix_with_a_next_token_once(model: Path) -> None:
    rows = [encoded(model, text) for text in ("abc d", "abc de", "abc x", "b d")]
    prefixes = {row[:length] for row in rows for length in range(1, len(row))}
    assert least(str(model), ROWS) == len(prefixes)
    assert least(str(model), ROWS * 2) == least(str(model), ROWS)


def test_the_page_shows_what_is_written_down_and_what_was_wanted_of_it() -> None:
    counted = json.loads(RESULTS.read_text("utf-8"))["tokens"]
    assert PAGE.read_text("utf-8").split(MARKS[0])[1].split(MARKS[1])[0] == markdown(counted) + "\n"
    ratio = {one["work"]: min(one["peer"].values()) / one["least"] for one in counted}
    assert ratio["TruthfulQA MC1+MC2, six-shot, 790 questions"] / 1.03 >= 22
    assert ratio["TruthfulQA MC1+MC2, zero-shot, 790 questions"] >= 3


@pytest.mark.slow
@pytest.mark.skipif(not PEER.exists(), reason="`make bench` installs the peer")
def test_the_peer_pads_as_it_is_counted(model: Path, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.json", tmp_path / "found.json"
    rows.write_text(json.dumps([["a", [" bcdefgh", " bcdefghij", " xy"]], ["longer", [" thing"]]]))
    asked = json.dumps({"model": str(model), "rows": [str(rows)], "sizes": SIZES})
    subprocess.run([PEER, "-m", "benchmarks.engine.peer_tokens", asked, out], cwd=PAGE.parents[1], check=True)
    lengths = [len(encoded(model, text)) - 1 for text in ("a bcdefgh", "a bcdefghij", "a xy", "longer thing")]
    assert json.loads(out.read_text())[str(rows)] == {str(size): padded(lengths, size) for size in SIZES}
