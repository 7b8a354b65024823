from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from orca_guard.contracts import ModelSpec
from orca_guard.errors import BadInput
from orca_guard.types import Score
from orca_guard_hf.model import HFModel
from orca_guard_hf.placement import place
from tests.plugins.orca_guard_hf.conftest import ask, open_model, user

INTERLEAVED: dict[str, str | int] = {
    "model.embed_tokens": "cpu",
    "model.rotary_emb": "cpu",
    "model.layers.0": "disk",
    "model.layers.1": "cpu",
    "model.layers.2": "disk",
    "model.layers.3": "cpu",
    "model.norm": "cpu",
    "lm_head": "disk",
}
ORCA = {module: where for module, where in INTERLEAVED.items() if module[-1] not in "23"}
REQUESTS: list[Any] = [
    user("the one", tokens=6),
    user("the quick brown fox", tokens=6),
    Score(context="the one", continuations=(" of", " who is", " fox")),
]


def same(one: list[Any], other: list[Any]) -> None:
    assert [g.text for g in one[:2]] == [g.text for g in other[:2]]
    for a, b in zip(one[2].likelihoods, other[2].likelihoods, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=1e-5)


def test_layers_on_cpu_and_disk_answer_as_in_one_piece(tiny: Path, model: HFModel, tmp_path: Path) -> None:
    parts = open_model(tiny, device_map=INTERLEAVED, offload_dir=str(tmp_path / "offload"))
    assert set(parts.network.model.hf_device_map.values()) == {"cpu", "disk"}
    assert parts.network.model.model.layers[2].mlp.up_proj.weight.device.type == "meta"
    same(ask(parts, *REQUESTS), ask(model, *REQUESTS))


def test_sharded_pickles_can_be_offloaded_too(orca2: Path, orca: HFModel) -> None:
    parts = open_model(orca2, device_map=json.dumps(ORCA))
    assert set(parts.network.model.hf_device_map.values()) == {"cpu", "disk"}
    same(ask(parts, *REQUESTS), ask(orca, *REQUESTS))


def test_placement_is_recorded_and_changes_nothing_else(tiny: Path, model: HFModel, tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(INTERLEAVED))
    parts = open_model(tiny, device_map=str(path))
    changed = {key for key in model.identity if model.identity[key] != parts.identity[key]}
    assert changed == {"placement"}
    assert "model.layers.2=disk" in parts.identity["placement"]


def test_a_temporary_offload_folder_goes_with_the_model(tiny: Path) -> None:
    import gc
    import tempfile

    before = set(Path(tempfile.gettempdir()).glob("orca-guard-offload-*"))
    parts = open_model(tiny, device_map=INTERLEAVED)
    assert len(set(Path(tempfile.gettempdir()).glob("orca-guard-offload-*")) - before) == 1
    del parts
    gc.collect()
    assert not set(Path(tempfile.gettempdir()).glob("orca-guard-offload-*")) - before


def test_one_piece_has_no_hooks(model: HFModel) -> None:
    assert not hasattr(model.network.model, "_hf_hook")
    assert model.identity["placement"] == "cpu"


@pytest.mark.parametrize("device_map", ["auto", "balanced", "sequential"])
def test_accelerate_may_place_it(tiny: Path, model: HFModel, device_map: str) -> None:
    more = {} if torch.cuda.is_available() else {"max_memory": {"cpu": "1GiB"}}
    same(ask(open_model(tiny, device_map=device_map, dtype="float32", **more), *REQUESTS), ask(model, *REQUESTS))


def test_limits_on_memory_alone_mean_auto(tiny: Path, tmp_path: Path) -> None:
    parts = open_model(tiny, device_map="", max_memory={"cpu": "150KB"}, offload_dir=str(tmp_path))
    assert set(parts.network.model.hf_device_map.values()) == {"cpu", "disk"}
    assert ask(parts, *REQUESTS)[0].text


@pytest.mark.parametrize(("dtype", "wanted"), [("auto", "float32"), ("bfloat16", "bfloat16"), ("float16", "float16")])
def test_dtype(tiny: Path, dtype: str, wanted: str) -> None:
    opened = open_model(tiny, dtype=dtype)
    assert opened.identity["dtype"] == wanted
    if wanted == "bfloat16":
        assert ask(opened, *REQUESTS)[0].text


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"device_map": "gpu0"}, "unknown device 'gpu0'"),
        ({"device_map": "atuo"}, "did you mean 'auto'"),
        ({"device_map": "cuda:77"}, "not there"),
        ({"device_map": {"model": 77}}, "not there"),
        ({"device_map": {"model": True}}, "puts 'model' on True"),
        ({"device_map": {}}, "names a device"),
        ({"device_map": "{oops"}, "no JSON"),
        ({"device_map": "/no/such/map.json"}, "cannot be read"),
        ({"device_map": {"model.layers.0": "cpu"}}, "says nothing about 'model.embed_tokens.weight'"),
        ({"device_map": "cpu", "max_memory": {"cpu": "1GiB"}}, "max_memory"),
        ({"dtype": "bfloat61"}, "did you mean 'bfloat16'"),
        ({"batch_size": 0}, "batch_size"),
        ({"options": {"speed": 3}}, "speed"),
    ],
)
def test_wishes_that_cannot_be_met(tiny: Path, more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        open_model(tiny, **more)
    assert "\n" not in str(caught.value)


# --- several processes on one machine ----------------------------------------------------------


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """As many GPUs as said, before this process of a launcher."""

    def pretend(count: int, **environ: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    return pretend


@pytest.mark.parametrize(
    ("count", "rank", "device"),
    [(0, "1", "cpu"), (4, None, "cuda:0"), (4, "0", "cuda:0"), (4, "3", "cuda:3"), (1, "3", "cuda:0")],
)
def test_each_process_takes_a_gpu_of_its_own(
    gpus: Callable[..., None], count: int, rank: str | None, device: str
) -> None:
    """One that sees a single GPU was given it by its launcher."""
    gpus(count, **({"LOCAL_RANK": rank} if rank else {}))
    assert str(place(ModelSpec(reference="x")).device) == device


def test_more_processes_than_gpus_are_refused(gpus: Callable[..., None]) -> None:
    gpus(2, LOCAL_RANK="2")
    with pytest.raises(BadInput, match="process 2 of this machine has no GPU to itself: there are 2"):
        place(ModelSpec(reference="x"))


def test_processes_do_not_each_spread_over_all_gpus(gpus: Callable[..., None]) -> None:
    gpus(2, LOCAL_RANK="1", LOCAL_WORLD_SIZE="2")
    with pytest.raises(BadInput, match="'auto' spreads over all GPUs"):
        place(ModelSpec(reference="x", device_map="auto"))
    assert place(ModelSpec(reference="x", device_map="auto", max_memory={"1": "9GiB"})).device_map == "auto"
    gpus(2, LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")
    assert place(ModelSpec(reference="x", device_map="auto")).device_map == "auto"
    gpus(0, LOCAL_RANK="1", LOCAL_WORLD_SIZE="2")
    assert place(ModelSpec(reference="x", device_map="auto")).device_map == "auto"
