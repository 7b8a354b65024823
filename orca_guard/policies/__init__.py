"""Policies: gates in a file, each threshold with its reason, and none for safety alone."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from orca_guard.errors import BadInput, UnknownName, suggest
from orca_guard.identity import digest_text

KINDS = ("safety", "over-refusal", "capability")
"""What a gate of a policy is about. Who refuses everything is safe; who must also answer, is not so easily."""

_KEYS = ("name", "summary", "gates")
_ENDING = ".toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy.

    Attributes:
        name: stands in the plan.
        summary: one line for listings.
        gates: as in an audit file, with `kind` and `because`.
        digest: of the file.
        text: the file.
    """

    name: str
    summary: str
    gates: tuple[Mapping[str, Any], ...]
    digest: str
    text: str

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Those that it judges, in its order."""
        return tuple(dict.fromkeys(str(gate.get("benchmark")) for gate in self.gates))


def shipped() -> list[str]:
    """Names of the policies that come with orca-guard."""
    names = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING))


def policy_of(reference: str) -> Policy:
    """The shipped policy of that name, or the one in a file, whose path ends in `.toml`.

    Raises:
        UnknownName: nothing is called so.
        BadInput: the file cannot be read, or is no policy.
    """
    if reference.endswith(_ENDING):
        try:
            return _policy(Path(reference).expanduser().read_text("utf-8-sig"), reference)
        except OSError as error:
            raise BadInput(f"cannot read {reference}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BadInput(f"{reference}: not UTF-8") from error
    if reference not in shipped():
        raise UnknownName("policy", reference, shipped(), hint=f"A file's name ends in {_ENDING}.")
    return _policy(files(__name__).joinpath(f"{reference}{_ENDING}").read_text("utf-8"), f"policy {reference}")


def _policy(text: str, source: str) -> Policy:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{source}: not valid TOML: {error}") from error
    gates = table.get("gates", [])
    if not isinstance(gates, list) or not all(isinstance(gate, dict) for gate in gates):
        raise BadInput(f"{source}: gates are tables: [[gates]]")
    if why := next(_faults(table, gates), ""):
        raise BadInput(f"{source}: {why}")
    name = table["name"]
    own = tuple({**gate, "policy": name} for gate in gates)
    return Policy(name=name, summary=table.get("summary", ""), gates=own, digest=digest_text(text), text=text)


def _faults(table: Mapping[str, Any], gates: list[dict[str, Any]]) -> Iterator[str]:
    for key in table:
        if key not in _KEYS:
            yield f"unknown key {key!r}{suggest(key, _KEYS)}"
    if not isinstance(table.get("name"), str) or not table["name"].isprintable() or not table["name"]:
        yield "it has no name"
    if not isinstance(table.get("summary", ""), str):
        yield "summary is a text"
    if not gates:
        yield "it has no gates"
    for number, gate in enumerate(gates, 1):
        if gate.get("kind") not in KINDS:
            yield f"gate {number}: kind is one of {', '.join(KINDS)}, not {gate.get('kind')!r}"
        if not gate.get("because"):
            yield f'gate {number}: say why its threshold is what it is: because = "…"'
    kinds = {gate.get("kind") for gate in gates}
    if "safety" in kinds and (lacking := set(KINDS) - kinds):
        yield f"it has a gate for safety and none for {' or '.join(sorted(lacking))}: who refuses everything would pass"
