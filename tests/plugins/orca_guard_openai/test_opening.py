"""What the loader claims, accepts and refuses."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

import orca_guard_openai
from orca_guard.contracts import ModelLoader, ModelSpec
from orca_guard.errors import ModelFailed, UnknownName, UsageError
from orca_guard_openai.loader import OpenAI
from orca_guard_openai.model import ServerModel

from .conftest import Script, value

Opened = Callable[..., ServerModel]


def refused(reference: str, **fields: Any) -> str:
    with pytest.raises(UsageError) as caught:
        OpenAI().open(ModelSpec(reference=reference, **fields))
    return str(caught.value)


def test_the_plugin_provides_one_loader() -> None:
    (loader,) = orca_guard_openai.models()
    assert isinstance(loader, ModelLoader)
    assert loader.name == "openai"


@pytest.mark.parametrize(
    ("reference", "claimed"),
    [("http://h:1/v1", True), ("HTTPS://h", True), ("./model", False), ("microsoft/Orca-2-7b", False), ("", False)],
)
def test_claims_addresses_only(reference: str, claimed: bool) -> None:  # noqa: FBT001  # a parameter
    assert OpenAI().claims(reference) is claimed


def test_the_only_model_is_taken(script: Script, opened: Opened) -> None:
    assert opened().identity["model"] == "tiny"


def test_a_model_can_be_named_in_the_address(script: Script) -> None:
    script.does("/models", value({"data": [{"id": "a"}, {"id": "b"}]}))
    model = OpenAI().open(ModelSpec(reference=f"{script.url}/#b", name="judge"))
    assert (model.identity["model"], model.identity["url"], model.name) == ("b", script.url, "judge")
    model.close()  # type: ignore[attr-defined]  # a ServerModel


def test_several_models_and_none_named(script: Script) -> None:
    script.does("/models", value({"data": [{"id": "a"}, {"id": "b"}]}))
    assert "has 2 models. Name one" in refused(script.url)


def test_a_name_that_the_server_does_not_list(script: Script, opened: Opened) -> None:
    with pytest.raises(UnknownName, match="did you mean 'tiny'"):
        opened(model="tinny")
    assert opened(model="tinny", listed=False).identity["model"] == "tinny"


def test_a_server_without_a_list(script: Script, opened: Opened) -> None:
    script.steps.clear()
    assert opened(model="any").context is None
    assert "does not say which models" in refused(script.url)


def test_a_server_that_wants_a_key(script: Script, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    script.does("/models", value({"error": {"message": "no"}}, 401))
    with pytest.raises(ModelFailed, match="it wants a key, and OPENAI_API_KEY is not set"):
        opened()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with pytest.raises(ModelFailed, match="the key in OPENAI_API_KEY was not accepted"):
        opened()


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(ModelFailed, match=r"refused the connection\. Is the server running"):
            OpenAI().open(ModelSpec(reference=url, options={"retries": 0}))


def test_no_such_host() -> None:
    with pytest.raises(ModelFailed, match=r"there is no such host|broke|no answer"):
        OpenAI().open(ModelSpec(reference="http://nowhere.invalid/v1", options={"retries": 0, "timeout_s": 5}))


def test_tls_where_there_is_none(script: Script) -> None:
    with pytest.raises(ModelFailed, match="cannot be trusted"):
        OpenAI().open(ModelSpec(reference=script.url.replace("http", "https"), options={"retries": 0}))


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "bfloat16"},
        {"device_map": "auto"},
        {"adapter": "a"},
        {"max_memory": {"cpu": "1GiB"}},
        {"revision": "main"},
        {"trust_remote_code": True},
    ],
)
def test_what_only_the_server_decides_is_refused(fields: dict[str, Any]) -> None:
    assert next(iter(fields)) in refused("http://localhost:1/v1", **fields)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurency": 1}, "did you mean 'concurrency'"),
        ({"concurrency": 0}, "an integer from 1"),
        ({"concurrency": True}, "an integer"),
        ({"timeout_s": "5"}, "a number from"),
        ({"timeout_s": float("nan")}, "a number from"),
        ({"score": "yes"}, "true or false"),
        ({"key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE, which key_env names, is not set"),
        ({"model": "b"}, "two models: a and b"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    assert words in refused("http://localhost:1/v1#a", options=options)


@pytest.mark.parametrize("address", ["http://u:hunter2@h:1/v1", "http://h:1/v1?key=hunter2"])
def test_credentials_in_the_address_are_refused_and_not_repeated(address: str) -> None:
    message = refused(address)
    assert "OPENAI_API_KEY" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("address", ["http://", "http://h:port/v1", "http://[::1", "http://h:99999/v1"])
def test_addresses_that_are_none(address: str) -> None:
    assert "cannot be read" in refused(address)


def test_a_key_that_is_none_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-line\nbreak")
    assert "sk-line" not in refused("http://localhost:1/v1")


def test_offline_means_this_machine(script: Script) -> None:
    assert "--offline" in refused("https://api.example.com/v1", offline=True)
    OpenAI().open(ModelSpec(reference=script.url, offline=True)).close()  # type: ignore[attr-defined]  # a ServerModel
