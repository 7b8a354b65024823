"""What a model's specification means for a server: address, model, key and limits, or what is wrong with them."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from orca_guard.contracts import ModelSpec
from orca_guard.errors import UnknownName, UsageError

DEFAULT_KEY = "OPENAI_API_KEY"
_NUMBERS: Mapping[str, tuple[type, float, float]] = {
    "concurrency": (int, 1, 1024),
    "timeout_s": (float, 0.01, 86_400),
    "retries": (int, 0, 100),
    "retry_budget": (int, 0, 1_000_000),
}
_TELLING = 9
"""Characters of a key's beginning that tell it apart; what is shorter, as `sk-proj-`, many keys share."""
_OPTIONS = {"model", "key_env", "score", "listed", *_NUMBERS}


class Key:
    """A secret that no representation shows."""

    def __init__(self, secret: str, variable: str) -> None:
        self._secret = secret
        self.variable = variable

    def __repr__(self) -> str:
        return f"Key(from {self.variable})"

    def __bool__(self) -> bool:
        return bool(self._secret)

    def header(self) -> str:
        """The value of the `Authorization` header."""
        return f"Bearer {self._secret}"

    def scrub(self, text: str) -> str:
        """The text without the key, which a server may echo."""
        return text.replace(self._secret, "[key]") if self._secret else text

    def cover(self, text: str, *, growing: bool = False) -> str:
        """The text without the key, and without a beginning of it that tells it apart.

        Args:
            text: for people or a record. What is still JSON, or one of several pieces, is for `scrub`.
            growing: more may follow, so an end that may become the key is held back.
        """
        key, stem = self._secret, self._secret[:_TELLING]
        pieces, at = list[str](), 0
        while stem and (found := text.find(stem, at)) >= 0:
            pieces += text[at:found], "[key]"
            at = found + max(n for n in range(len(stem), len(key) + 1) if text.startswith(key[:n], found))
        end = text[at:]
        held = next((n for n in range(len(stem) - 1, 0, -1) if growing and end.endswith(stem[:n])), 0)
        return "".join(pieces) + end[: len(end) - held]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the client needs. `url` holds no credentials."""

    url: str
    name: str
    local: bool
    key: Key
    model: str = ""
    concurrency: int = 8
    timeout_s: float = 300.0
    retries: int = 4
    retry_budget: int = 64
    score: bool | None = None
    listed: bool = True


def settings_of(spec: ModelSpec) -> Settings:
    """The specification read and checked; nothing is asked of the network."""
    _refuse_what_a_server_decides(spec)
    for option in set(spec.options) - _OPTIONS:
        raise UnknownName("option of the loader openai", option, _OPTIONS)
    parts = _address(spec.reference)
    local = _is_local(parts.hostname or "")
    url = f"{parts.scheme}://{_host(parts)}{parts.path.rstrip('/')}"
    if spec.offline and not local:
        raise UsageError(
            f"{url} is on the network, and --offline was asked for. Only this machine's own servers are not."
        )
    return Settings(
        url=url,
        name=spec.name or url,
        local=local,
        key=_key(spec.options),
        model=_model(parts, spec.options),
        score=_flag(spec.options, "score"),
        listed=_flag(spec.options, "listed") is not False,
        **{name: _number(spec.options[name], name) for name in _NUMBERS if name in spec.options},
    )


def _refuse_what_a_server_decides(spec: ModelSpec) -> None:
    asked = {
        "adapter": spec.adapter,
        "profile": spec.profile,
        "revision": spec.revision,
        "dtype": spec.dtype not in {"", "auto"},
        "device_map": spec.device_map,
        "max_memory": spec.max_memory,
        "offload_dir": spec.offload_dir,
        "trust_remote_code": spec.trust_remote_code,
    }
    refused = [name for name, value in asked.items() if value]
    if refused:
        raise UsageError(
            f"{', '.join(refused)} cannot be set for a model behind a server: the server decided when it was started."
        )


def _address(reference: str) -> SplitResult:
    """The parts of the address. What is wrong with it is said without repeating it, for it may hold a secret."""
    try:
        parts = urlsplit(reference)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = None
    if not usable:
        raise UsageError("the server's address cannot be read. It has the form http://host:port/v1#model-name.")
    if "@" in parts.netloc or parts.query:
        raise UsageError(
            f"the address of {_host(parts)} holds a user, a password or a query, and would be recorded with them. "
            f"Put the key into the environment variable {DEFAULT_KEY}, or into the one that key_env names."
        )
    return parts


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _model(parts: SplitResult, options: Mapping[str, Any]) -> str:
    given = {str(name) for name in (parts.fragment, options.get("model", "")) if name}
    if len(given) > 1:
        raise UsageError(f"the address and the option model name two models: {' and '.join(sorted(given))}.")
    return given.pop() if given else ""


def _key(options: Mapping[str, Any]) -> Key:
    variable = str(options.get("key_env", DEFAULT_KEY))
    secret = os.environ.get(variable, "").strip()
    if "key_env" in options and not secret:
        raise UsageError(f"the environment variable {variable}, which key_env names, is not set.")
    if not secret.isascii() or not secret.isprintable():
        raise UsageError(f"the environment variable {variable} holds characters that no key has.")
    return Key(secret, variable)


def _flag(options: Mapping[str, Any], name: str) -> bool | None:
    value = options.get(name)
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}. It must be true or false.")
    return value


def _number(value: Any, name: str) -> Any:
    kind, least, most = _NUMBERS[name]
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (whole or (kind is float and isinstance(value, float))) or not least <= value <= most:
        raise UsageError(
            f"{name} is {value!r}. It must be {'an integer' if kind is int else 'a number'} from {least:g} to {most:g}."
        )
    return kind(value)
