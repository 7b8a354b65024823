"""The audit file: read, checked, changed by flags, kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orca_guard.configuration import default, guards_of
from orca_guard.errors import BadInput, UnknownName
from orca_guard.plan import changed, of_flags, read, request_json, request_of

FILE = """
name = "before release"
[[benchmarks]]
name = "basics"
limit = 5
[[arms]]
name = "served"
pipeline = "pipeline.toml"
[[arms]]
name = "bare"
strategy = "cautious"
system = "Be brief."
guards = false
[[gates]]
benchmark = "basics-questions"
metric = "accuracy"
at_least = 0.5
"""


def write(folder: Path, text: str = FILE) -> Path:
    (folder / "pipeline.toml").write_text('strategies = ["direct"]\n')
    path = folder / "audit.toml"
    path.write_text(text)
    return path


def test_arms_are_pipelines(tmp_path: Path) -> None:
    served, bare = read(write(tmp_path)).arms
    assert (served.name, served.table.strategies, guards_of(served.table)) == (
        "served",
        ("direct",),
        guards_of(default()),
    )
    assert (bare.table.strategies, bare.table.system, guards_of(bare.table)) == (("cautious",), "Be brief.", ())
    assert bare.table.guards_off == tuple(guard.name for guard in guards_of(default()))


def test_without_arms_there_is_the_default_pipeline(tmp_path: Path) -> None:
    [arm] = read(write(tmp_path, '[[benchmarks]]\nname = "basics"\n')).arms
    assert (arm.name, arm.table.strategies) == ("default", default().strategies)


def test_it_is_kept_whole(tmp_path: Path) -> None:
    request = read(write(tmp_path))
    assert request_of(request_json(request), source="request.json") == request
    with pytest.raises(BadInput, match=r"request.json is not what an audit wrote"):
        request_of(b"{}", source="request.json")


def test_flags_change_every_model_and_limit(tmp_path: Path) -> None:
    request = changed(read(write(tmp_path)), limit=2, model={"model": "other", "dtype": "float32"}, nonce="n")
    assert {(arm.table.model.name, arm.table.model.dtype) for arm in request.arms} == {("other", "float32")}
    assert (request.table.benchmarks[0].limit, request.table.nonce) == (2, "n")
    assert of_flags(default(), suites=["basics"], limit=2, nonce=None).table.benchmarks == request.table.benchmarks


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("name = ", BadInput, "not valid TOML"),
        ('nam = "x"', BadInput, "unknown key 'nam': did you mean 'name'"),
        (
            '[[benchmarks]]\nname = "b"\nlimt = 3',
            BadInput,
            r"unknown key 'benchmarks\[0\].limt'",
        ),
        ('[[benchmarks]]\nname = "b"\nlimit = "3"', BadInput, "Expected `int"),
        ("", BadInput, "benchmarks is empty"),
        ('[[benchmarks]]\nname = "b"\nlimit = 0', BadInput, "benchmarks.limit must be 1 or more"),
        ('[[benchmarks]]\nname = "b"\n[[benchmarks]]\nname = "b"', BadInput, "benchmarks names one twice"),
        ('unit = 0\n[[benchmarks]]\nname = "b"', BadInput, "unit must be between 1"),
        ('seed = -1\n[[benchmarks]]\nname = "b"', BadInput, "seed must be"),
        ('format = 2\n[[benchmarks]]\nname = "b"', BadInput, "format is 2; this version reads format 1"),
        (
            '[[benchmarks]]\nname = "b"\n[[arms]]\nname = "a"\n[[arms]]\nname = "a"',
            BadInput,
            "arms names one twice: a, a",
        ),
        ('[[benchmarks]]\nname = "b"\n[[arms]]\nname = ""', BadInput, "arms.name must be"),
        (
            '[[benchmarks]]\nname = "b"\n[[arms]]\nname = "a"\npipeline = "gone.toml"',
            BadInput,
            "cannot read the pipeline",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read(write(tmp_path, text))


def test_flags_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"the options: benchmarks\.limit"):
        of_flags(default(), suites=["basics"], limit=0)
    wrong: dict[str, Any] = {"no_guards": ["lenght"]}
    with pytest.raises(UnknownName, match="did you mean 'length'"):
        changed(read(write(tmp_path)), model=wrong)
