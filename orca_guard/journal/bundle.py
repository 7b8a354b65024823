"""A run's folder: its files by name, plan and seal read with care; and the store that holds many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_bytes, digest_file
from orca_guard.journal.chain import decode
from orca_guard.journal.disk import is_locked, sync_folder, write_whole, writing
from orca_guard.journal.reading import raw_lines
from orca_guard.journal.texts import secret_of
from orca_guard.journal.units import ItemLine

FORMAT = 1
_SHARD = re.compile(r"(journal|texts)-(0|[1-9][0-9]*)\.jsonl")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Status(StrEnum):
    """How far a run has come."""

    PLANNED = "planned"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A run's folder.

    Attributes:
        root: the folder; it need not exist.
    """

    root: Path

    @property
    def plan(self) -> Path:
        """What is run."""
        return self.root / "plan.json"

    @property
    def items(self) -> Path:
        """On what."""
        return self.root / "items.jsonl"

    @property
    def seal(self) -> Path:
        """Written last."""
        return self.root / "seal.json"

    @property
    def signature(self) -> Path:
        """Of the seal's bytes."""
        return self.root / "seal.sig"

    @property
    def attestation(self) -> Path:
        """What the seal says as an in-toto statement, signed by the same key."""
        return self.root / "seal.intoto.json"

    def journal(self, rank: int) -> Path:
        """A rank's records."""
        return self.root / f"journal-{rank}.jsonl"

    def texts(self, rank: int) -> Path:
        """A rank's texts."""
        return self.root / f"texts-{rank}.jsonl"

    def journals(self) -> dict[int, Path]:
        """Rank → shard, of those there are. Raises `BadInput` when the folder cannot be read."""
        return self._ranked("journal")

    def all_texts(self) -> dict[int, Path]:
        """Rank → texts, of those there are. Raises `BadInput` when the folder cannot be read."""
        return self._ranked("texts")

    def _ranked(self, kind: str) -> dict[int, Path]:
        try:
            found = [(match, path) for path in self.root.iterdir() if (match := _SHARD.fullmatch(path.name))]
        except OSError as error:
            raise BadInput(f"cannot read {self.root}: {error.strerror}") from error
        return dict(sorted((int(match[2]), path) for match, path in found if match[1] == kind))

    def status(self) -> Status:
        """How far the run has come. Raises `BadInput` when the folder cannot be read."""
        if self.seal.exists():
            return Status.SEALED
        journals = self.journals().values()
        if any(is_locked(path) for path in journals):
            return Status.RUNNING
        return Status.INTERRUPTED if any(path.stat().st_size for path in journals) else Status.PLANNED

    def begin(self, plan: Mapping[str, Any], items: bytes) -> str:
        """Write items and plan, and return the plan's digest. The plan comes last: a folder with one has all of both.

        Raises:
            BadInput: the items are not those of the plan, another plan is here, or it cannot be written.
        """
        digest = digest_bytes(canonical(plan))
        if plan["items"]["digest"] != digest_bytes(items):
            raise BadInput(f"the items for {self.root} are not those of its plan")
        if self.plan.exists():
            if digest_bytes(canonical(self.read_plan())) != digest:
                raise BadInput(f"{self.root} holds another plan. Choose another name, or remove it.")
            return digest
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            sync_folder(self.root.parent)
        write_whole(self.items, items)
        write_whole(self.plan, canonical(plan) + b"\n")
        return digest

    def read_plan(self) -> dict[str, Any]:
        """The plan. Raises `BadInput` when it is not there, not as it was written, or of an unknown format."""
        return _read_document(self.plan)

    def read_items(self, plan: Mapping[str, Any]) -> Iterator[ItemLine]:
        """The items, as a stream, once the whole file is known to be the plan's.

        Raises:
            BadInput: they are not those of the plan.
        """
        try:
            wanted, digest = plan["items"]["digest"], digest_file(self.items, fresh=True)
        except OSError as error:
            raise BadInput(f"cannot read {self.items}: {error.strerror}") from error
        except (KeyError, TypeError) as error:
            raise BadInput(f"{self.plan} does not say which items are its own") from error
        if digest != wanted:
            raise BadInput(f"{self.items} was changed: its digest is {digest}, and the plan's is {wanted}")
        decoder = msgspec.json.Decoder(ItemLine)
        for number, raw in enumerate(raw_lines(self.items), 1):
            try:
                yield decoder.decode(raw)
            except (msgspec.MsgspecError, ValueError) as error:
                raise BadInput(f"{self.items}, line {number} is no item: {error}") from error

    def write_seal(self, seal: Mapping[str, Any]) -> str:
        """Write the seal, and return its digest. Raises `BadInput`, also when there is one."""
        if self.seal.exists():
            raise BadInput(f"{self.root} is sealed already")
        data = canonical(seal)
        write_whole(self.seal, data + b"\n")
        return digest_bytes(data)

    def read_seal(self) -> dict[str, Any]:
        """The seal. Raises `BadInput` when it is not there, not as it was written, or of an unknown format."""
        return _read_document(self.seal)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    try:
        document = decode(data.removesuffix(b"\n"))
    except ValueError as error:
        raise BadInput(f"{path} {error}: it was changed") from error
    if not data.endswith(b"\n"):
        raise BadInput(f"{path} has no end of line: it was changed")
    _check_format(path, document.get("format"))
    return document


def _check_format(path: Path, format: Any) -> None:
    if type(format) is int and format > FORMAT:
        raise BadInput(
            f"{path} is of format {format}, and this version of orca-guard reads format {FORMAT}. Install a newer one."
        )
    if type(format) is not int or format != FORMAT:
        raise BadInput(f"{path} is of format {format!r}, which no version of orca-guard writes")


@dataclass(frozen=True, slots=True)
class RunStore:
    """A folder of runs, with the secret that salts their texts.

    Attributes:
        root: the folder; it need not exist.
    """

    root: Path

    def run(self, name: str) -> Bundle:
        """The run of that name, whether it exists or not. Raises `BadInput` when no folder can be called so."""
        if not _RUN.fullmatch(name):
            raise BadInput(f"a run's name is of letters, digits, '.', '_' and '-', and begins with neither: {name!r}")
        return Bundle(self.root / name)

    def runs(self) -> dict[str, Status]:
        """Every run and how far it has come, by name. Raises `BadInput` when a folder cannot be read."""
        try:
            folders = sorted(self.root.iterdir()) if self.root.exists() else []
        except OSError as error:
            raise BadInput(f"cannot read {self.root}: {error.strerror}") from error
        runs = {folder.name: Bundle(folder) for folder in folders if _RUN.fullmatch(folder.name)}
        return {name: bundle.status() for name, bundle in runs.items() if bundle.plan.is_file()}

    def secret(self) -> bytes:
        """The store's secret, made on first use. Raises `BadInput` when it cannot be had."""
        return secret_of(self.root)
