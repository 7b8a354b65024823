from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from orca_guard.contracts import Model, ModelLoader
from orca_guard.errors import BadInput, ModelFailed, OrcaGuardError, UnknownName
from orca_guard.types import Embed, Score
from orca_guard_hf import models
from orca_guard_hf.loader import HuggingFace
from orca_guard_hf.model import HFModel
from tests.plugins.orca_guard_hf.conftest import ask, byte_level, edit_json, llama, open_model, user


def test_it_is_a_loader_and_opens_models(model: HFModel) -> None:
    (loader,) = models()
    assert isinstance(loader, ModelLoader)
    assert loader.name == "hf"
    assert isinstance(model, Model)


def test_registration_imports_nothing_heavy() -> None:
    code = (
        "import sys, orca_guard_hf, orca_guard_hf.loader; orca_guard_hf.models()[0].claims('a/b');"
        "print([m for m in ('torch', 'transformers', 'numpy', 'accelerate', 'huggingface_hub') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("reference", "claimed"),
    [
        ("microsoft/Orca-2-7b", True),
        ("/no/such/place", True),
        ("./here", True),
        ("~/model", True),
        ("a/b/c", True),
        ("", False),
        ("nano", False),
        ("http://localhost:8000/v1", False),
        ("http://a/b", False),
        ("what is this?", False),
    ],
)
def test_claims(reference: str, claimed: bool) -> None:  # noqa: FBT001
    assert HuggingFace().claims(reference) is claimed


def test_claims_a_directory_by_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert HuggingFace().claims("model")


def test_it_tells_where_forms_lie(tiny: Path, copied: Callable[[Path], Path], model: HFModel) -> None:
    folder = copied(tiny)
    (folder / "forms.json").write_text("{}")
    assert open_model(folder).forms == folder / "forms.json"
    assert model.forms is None


def cut(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])


def widen(folder: Path) -> None:
    edit_json(folder / "config.json", hidden_size=64)


def forget(folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers=5)


def drop_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "config is no json": (lambda f: (f / "config.json").write_text("{"), "is no JSON"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "no JSON object"),
    "no model type": (lambda f: (f / "config.json").write_text("{}"), "names no model_type"),
    "unknown model type": (lambda f: edit_json(f / "config.json", model_type="lama"), "lama"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "has no weights"),
    "weights cut short": (lambda f: cut(f, "model.safetensors"), "damaged or cut short"),
    "weights are something else": (lambda f: (f / "model.safetensors").write_text("hello"), "damaged or cut short"),
    "weights of another shape": (widen, "fit|size|shape|mismatch"),
    "weights that lack a layer": (forget, "do not fit its config.json: 9 missing"),
    "no tokenizer": (drop_tokenizer, "has no tokenizer"),
    "tokenizer is no json": (lambda f: cut(f, "tokenizer.json"), "tokenizer in .* cannot be loaded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_directory_is_named(tiny: Path, copied: Callable[[Path], Path], name: str) -> None:
    damage, says = BROKEN[name]
    folder = copied(tiny)
    damage(folder)
    with pytest.raises(BadInput, match=says) as caught:
        open_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "nonsense",
    [
        {"num_attention_heads": 0},
        {"hidden_size": "wide"},
        {"vocab_size": "many"},
        {"vocab_size": -1},
        {"rope_parameters": 3},
        {"num_hidden_layers": None},
        {"hidden_act": "none such"},
        {"architectures": 5},
        {"torch_dtype": "float99"},
        {"quantization_config": {"quant_method": "none such"}},
    ],
    ids=str,
)
def test_nonsense_in_the_configuration_is_one_line(
    tiny: Path, copied: Callable[[Path], Path], nonsense: dict[str, object]
) -> None:
    folder = copied(tiny)
    edit_json(folder / "config.json", **nonsense)
    try:
        open_model(folder)
    except OrcaGuardError as error:
        assert "\n" not in str(error)  # noqa: PT017  # some of it does no harm


@pytest.mark.parametrize("reference", ["/no/such/model", "./no-such-model", "nothing", "README.md"])
def test_what_is_no_directory_is_named(reference: str) -> None:
    with pytest.raises(BadInput, match=r"does not exist|is a file"):
        open_model(reference)


@pytest.mark.parametrize("shard", ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"])
def test_pickles_cut_short_are_bad_input(orca2: Path, copied: Callable[[Path], Path], shard: str) -> None:
    folder = copied(orca2)
    cut(folder, shard)
    with pytest.raises(BadInput, match="cannot be loaded"):
        open_model(folder)
    (folder / shard).unlink()
    with pytest.raises(BadInput, match=f"lacks the weights file '{shard}'"):
        open_model(folder)


class Harmful:
    """What a hostile checkpoint does: it runs something while it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.victim), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_needs_more_than_weights_is_refused_unread(
    orca2: Path,
    copied: Callable[[Path], Path],
    tmp_path: Path,
    zipped: bool,  # noqa: FBT001
) -> None:
    folder, victim = copied(orca2), tmp_path / "victim"
    shard = folder / "pytorch_model-00002-of-00002.bin"
    if zipped:
        torch.save({"lm_head.weight": Harmful(victim)}, shard)
    else:
        shard.write_bytes(pickle.dumps({"lm_head.weight": Harmful(victim)}))
    with pytest.raises(BadInput, match="cannot be loaded"):
        open_model(folder)
    assert not victim.exists()


@pytest.mark.parametrize(
    "data",
    [b"", bytes(range(255, 0, -1)) * 20, pickle.dumps(Path("x"))],
    ids=["empty", "no pickle", "more than weights"],
)
def test_nobody_is_advised_to_run_what_is_in_a_pickle(orca2: Path, copied: Callable[[Path], Path], data: bytes) -> None:
    folder = copied(orca2)
    (folder / "pytorch_model-00002-of-00002.bin").write_bytes(data)
    with pytest.raises(BadInput, match=r"is damaged, or holds more than weights.* convert it to safetensors") as caught:
        open_model(folder)
    assert str(folder) in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_a_revision_of_a_directory_means_nothing(tiny: Path) -> None:
    with pytest.raises(BadInput, match="revision 'main'"):
        open_model(tiny, revision="main")


def test_an_adapter_alone_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(BadInput, match="It holds an adapter"):
        open_model(tmp_path)


def test_safetensors_come_before_pickles(tiny: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(tiny)
    (folder / "pytorch_model.bin").write_text("not even a pickle")
    assert open_model(folder).identity["weights"] == open_model(tiny).identity["weights"]


def test_code_beside_the_weights_does_not_run_unasked(tiny: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(tiny)
    (folder / "modeling.py").write_text("raise SystemExit('it ran')")
    auto = {"AutoModelForCausalLM": "modeling.Model", "AutoConfig": "modeling.Config"}
    edit_json(folder / "config.json", model_type="strange", auto_map=auto)
    with pytest.raises(BadInput, match="cannot be loaded") as caught:
        open_model(folder)
    assert "it ran" not in str(caught.value)


def test_an_unknown_profile(tiny: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'chatml'"):
        open_model(tiny, profile="chatlm")


def test_adapters(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no adapter_config\.json"):
        open_model(tiny, adapter=str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    try:
        import peft  # noqa: F401
    except ImportError:
        with pytest.raises(ModelFailed, match=r"pip install 'orca-guard\[adapters\]'"):
            open_model(tiny, adapter=str(tmp_path))
    else:
        with pytest.raises(BadInput, match="adapter in"):
            open_model(tiny, adapter=str(tmp_path))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers for what it is about to rename
def test_an_adapter_changes_answers_and_identity(tiny: Path, tmp_path: Path, model: HFModel) -> None:
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    torch.manual_seed(0)
    peft.get_peft_model(open_model(tiny).network.model, settings).save_pretrained(tmp_path)
    adapted = open_model(tiny, adapter=str(tmp_path))
    requests = (user("the fox"), Score(context="the", continuations=(" fox", " dog")), Embed(texts=("the fox",)))
    changed, plain = ask(adapted, *requests), ask(model, *requests)
    assert changed != plain
    assert ask(adapted, requests[0]) == changed[:1]
    assert {k for k in adapted.identity if adapted.identity[k] != model.identity.get(k)} == {"adapter"}
    flip(tmp_path / "adapter_model.safetensors")
    assert open_model(tiny, adapter=str(tmp_path)).identity["adapter"] != adapted.identity["adapter"]


# --- identity ----------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """Change one byte at the end, where the last weight lies."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "weights": (lambda f: flip(f / "model.safetensors"), {"weights"}),
    "tokenizer": (lambda f: (f / "tokenizer.json").write_text((f / "tokenizer.json").read_text() + " "), {"tokenizer"}),
    "template": (lambda f: add(f / "chat_template.jinja", "{# #}"), {"tokenizer", "template"}),
    "generation config": (lambda f: edit_json(f / "generation_config.json", eos_token_id=[2, 5]), {"config"}),
    "profile": (lambda f: (f / "profile.toml").write_text('name = "own"\n[system]\ndefault = "x"'), {"profile"}),
}


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize("what", CHANGES)
def test_one_changed_byte_changes_the_identity(
    tiny: Path, copied: Callable[[Path], Path], model: HFModel, what: str
) -> None:
    change, keys = CHANGES[what]
    folder = copied(tiny)
    assert open_model(folder).identity == model.identity
    change(folder)
    changed = open_model(folder).identity
    assert {key for key in changed if changed[key] != model.identity.get(key)} == keys


def test_dtype_and_versions_are_part_of_the_identity(tiny: Path, model: HFModel) -> None:
    half = open_model(tiny, dtype="bfloat16").identity
    assert {key for key in half if half[key] != model.identity[key]} == {"dtype"}
    assert {"transformers", "torch", "tokenizers", "accelerate"} <= model.identity.keys()
    assert str(tiny) not in json.dumps(dict(model.identity))


# --- hub ---------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and a hub that nobody answers for."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


def test_a_cached_snapshot_is_opened_at_its_commit(tiny: Path, cache: Path, model: HFModel) -> None:
    import shutil

    repository = cache / "models--house--tiny"
    shutil.copytree(tiny, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    opened = open_model("house/tiny", offline=True)
    assert opened.identity["commit"] == COMMIT
    assert opened.identity["weights"] == model.identity["weights"]
    assert ask(opened, user("the fox"))[0].text == ask(model, user("the fox"))[0].text
    with pytest.raises(ModelFailed, match="lacks it"):
        open_model("house/tiny", offline=True, revision="v2")


@pytest.mark.parametrize(("offline", "says"), [(True, "offline"), (False, "the hub cannot be reached")])
def test_a_hub_that_is_not_there(cache: Path, offline: bool, says: str) -> None:  # noqa: FBT001
    with pytest.raises(OrcaGuardError, match=says) as caught:
        open_model("house/none", offline=offline)
    assert "there is no directory 'house/none'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_padding_token_may_lack_an_embedding(tmp_path: Path) -> None:
    rows = len(byte_level(tmp_path, special=["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"], pad_token=None))
    tokenizer = byte_level(tmp_path, special=["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"], pad_token="[PAD]")
    assert tokenizer.pad_token_id == rows
    llama(tmp_path, vocabulary=rows)
    opened = open_model(tmp_path)
    assert opened.prompter.pad == 0
    requests = (user("a [PAD] fox"), user("a quick brown fox and a [PAD]"))
    assert ask(opened, *requests) == [ask(opened, request)[0] for request in requests]


def test_a_tokenizer_of_another_vocabulary_size_is_refused(tiny: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(tiny)
    byte_level(
        folder, special=["<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>", *map(str, range(600, 700))]
    )
    with pytest.raises(BadInput, match="tokens"):
        open_model(folder)
