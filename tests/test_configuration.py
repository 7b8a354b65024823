"""The pipeline file: what it takes, what it refuses and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orca_guard import configuration
from orca_guard.configuration import PipelineTable, default, guards_of, overridden, parse
from orca_guard.errors import BadInput, UnknownName


def names(text: str) -> list[str]:
    return [guard.name for guard in guards_of(parse(text, source="f"))]


def test_the_default_pipeline_has_guards() -> None:
    assert [g.name for g in guards_of(default())] == ["control-characters", "length", "prompt-injection"]
    assert all(guard.on_error == "block" for guard in guards_of(default()))


def test_a_file_that_says_nothing_of_guards_keeps_the_default_ones() -> None:
    assert names("strategies = ['direct']") == [g.name for g in guards_of(default())]
    assert names("guards = []") == []
    assert names("[[guards]]\nname = 'length'") == ["length"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strategy = 'direct'", "unknown key 'strategy': did you mean 'strategies'"),
        ("[decoding]\ntemprature = 1", "unknown key 'decoding.temprature': did you mean 'temperature'"),
        ("[[guards]]\nname = 'a'\ntreshold = 1", "unknown key .*treshold': did you mean 'threshold'"),
        ("[model]\nnam = 'x'", "unknown key 'model.nam': did you mean 'name'"),
        ("[modle]\nname = 'x'", "unknown key 'modle': did you mean 'model'"),
        ("[decoding]\nseed = 'one'", "Expected `int`, got `str` - at `decoding.seed`"),
        ("[[guards]]\nthreshold = 1.0", "missing required field `name`"),
        (
            "[[guards]]\nname = 'a'\non_error = 'ignore'",
            "Invalid enum value 'ignore'.*is: abstain, allow, block",
        ),
        ("[[guards]]\nname = 'a'\naction = 'allow'", "Invalid enum value 'allow'"),
        ("[[guards]]\nname = 'a'\naction = 'warm'", "at `guards.0..action`: did you mean 'warn'"),
        ("[model]\ndtype = 'float61'", "at `model.dtype`: did you mean 'float16'"),
        ("[model]\ndtype = ''", "Invalid enum value '' .*There is: auto, bfloat16, float16, float32"),
        ("[[guards]]\nname = 'a'\n[[guards]]\nname = 'a'", "names one twice"),
        ("[[guards]]\nname = 'a'\nthreshold = nan", "guards.threshold must be a finite number"),
        ("[[guards]]\nname = 'a'\ntimeout_s = 0", "guards.timeout_s must be above 0"),
        ("format = 2", "this version reads format 1"),
        ("strategies = []", "strategies is empty"),
        ("[decoding]\nmax_new_tokens = 0", "max_new_tokens must be between 1"),
        ("[decoding]\ntemperature = -1", "temperature must be between 0"),
        ("[decoding]\ntemperature = nan", "temperature must be between 0"),
        ("[decoding]\ntop_p = 0", "top_p must be above 0"),
        ("[decoding]\ntop_k = -1", "top_k must be 0 or more"),
        ("[decoding]\nseed = -1", "seed must be between"),
        ("[decoding]\nstop = ['']", "stop holds an empty string"),
        ("[limits]\ndeadline_s = inf", "deadline_s must be above 0"),
        ("[limits]\nretries = -1", "retries must be 0 or more"),
        ("[model]\nbatch_size = 0", "batch_size must be 1 or more"),
        ("a = ", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        parse(text, source="my.toml")
    assert str(caught.value).startswith("my.toml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        configuration.read(tmp_path / "absent.toml")
    with pytest.raises(BadInput, match="Is a directory"):
        configuration.read(tmp_path)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="cannot read"):
        configuration.read(tmp_path / "b.toml")


def test_overrides_change_single_things() -> None:
    table = overridden(
        default(), strategy="direct", model="m", temperature=0.5, seed=None, system="", deadline_s=1.0, dtype="float32"
    )
    assert table.strategies == ("direct",)
    assert (table.model.name, table.model.dtype) == ("m", "float32")
    assert (table.decoding.temperature, table.decoding.seed) == (0.5, 0)
    assert table.system == ""
    assert table.limits.deadline_s == 1.0


def test_a_path_is_a_text(tmp_path: Path) -> None:
    assert overridden(default(), model=tmp_path).model.name == str(tmp_path)


def test_a_table_made_in_python_has_the_default_guards_too() -> None:
    assert guards_of(PipelineTable()) == guards_of(default())
    assert guards_of(overridden(PipelineTable(), seed=1)) == guards_of(default())
    with pytest.raises(BadInput, match="guards_off"):
        overridden(PipelineTable(guards_off=("length",)))


def test_turned_off_twice_is_turned_off_once() -> None:
    assert overridden(default(), no_guards=["length", "length"]).guards_off == ("length",)


@pytest.mark.parametrize("guards", ["toxicity", {"toxicity": 0.01}, ["toxicity", 3], 5])
@pytest.mark.parametrize("option", ["guards", "no_guards"])
def test_names_of_guards_that_are_no_list_of_texts_are_refused(option: str, guards: Any) -> None:
    with pytest.raises(BadInput, match=rf"^{option} (is a list of names|holds texts)"):
        overridden(default(), **{option: guards})


def test_guards_are_added_changed_and_turned_off() -> None:
    table = overridden(default(), guards=["length=10", "other", "third=0.5"], no_guards=["prompt-injection"])
    assert [(g.name, g.threshold) for g in guards_of(table)] == [
        ("control-characters", None),
        ("length", 10),
        ("other", None),
        ("third", 0.5),
    ]
    assert table.guards_off == ("prompt-injection",)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"no_guards": ["lenght"]}, UnknownName, "did you mean 'length'"),
        ({"guards": ["length=long"]}, BadInput, "'long' is no threshold"),
        ({"guards": ["length=nan"]}, BadInput, "finite"),
        ({"max_new_tokens": -5}, BadInput, "the options: decoding.max_new_tokens"),
        ({"temperatur": 1}, BadInput, "no setting 'temperatur': did you mean 'temperature'"),
        ({"options": {}}, BadInput, "no setting 'options'. There is: adapter"),
        ({"temperature": "hot"}, BadInput, "Expected `float`, got `str` - at `decoding.temperature`"),
        ({"batch_size": "4"}, BadInput, "Expected `int`, got `str` - at `model.batch_size`"),
        ({"max_new_tokens": 5.5}, BadInput, "Expected `int`, got `float`"),
        ({"offline": "no"}, BadInput, "Expected `bool`, got `str`"),
        ({"stop": "END"}, BadInput, "Expected `array`, got `str`"),
        ({"strategy": ["direct"]}, BadInput, "Expected `str`, got `array`"),
        ({"device_map": ["cpu"]}, BadInput, "got `array`"),
        ({"model": object()}, BadInput, "no pipeline file could"),
        ({"guards": ["length=20"], "no_guards": ["length"]}, BadInput, "guards_off and the guards that are on"),
    ],
)
def test_overrides_that_make_no_sense(fields: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        overridden(default(), **fields)
