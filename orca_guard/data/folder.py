"""The folder of data: what lies in it, whether it is sound, and how files get there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from orca_guard.data.rows import Account, table
from orca_guard.data.sets import INDEX, DataFile, DataSet, changed
from orca_guard.errors import BadInput, OrcaGuardError
from orca_guard.identity import digest_file
from orca_guard.items import Rejected
from orca_guard.journal.disk import write_whole

_COLUMNS = ("path", "rows", "bytes", "sha256", "source")
Step = Callable[[str, int, int], None]
"""Told of a file, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """A file of a data set that lies in the folder.

    Attributes:
        data_set: whose it is.
        where: in the folder.
        path: the file itself.
        file: what is known of it.
    """

    data_set: DataSet
    where: str
    path: Path
    file: DataFile

    @property
    def bytes(self) -> int:
        """As it lies there."""
        return self.path.stat().st_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came out of looking at a file.

    Attributes:
        lying: the file.
        digest: of its bytes.
        release: its name, where the digest is that of a known one.
        account: its rows; None where the file is broken.
        fault: why it cannot be used; "" where it can.
    """

    lying: Lying
    digest: str
    release: str
    account: Account | None
    fault: str = ""


def lying(data: Path, sets: Iterable[DataSet]) -> list[Lying]:
    """Every known file in a folder, in the order of the sets."""
    return [
        Lying(data_set=one, where=where, path=path, file=file)
        for one in sets
        for file in one.files
        for where, path in one.present(data, [file]).items()
    ]


def looked_at(found: Sequence[Lying], data: Path, *, step: Step = lambda *_: None) -> Iterator[Looked]:
    """Digest and rows of every file; what is wrong with one is told and stops nothing."""
    for number, one in enumerate(found):
        step(one.where, number, len(found))
        digest = digest_file(one.path, fresh=True)
        release = one.file.releases.get(digest, "")
        fault = changed(data, one.where, one.path)
        account = None
        try:
            account = one.file.account(one.path)
        except OrcaGuardError as error:
            fault = fault or str(error)
        yield Looked(lying=one, digest=digest, release=release, account=account, fault=fault)
    step("", len(found), len(found))


# --- importing -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A file that is to get into the folder.

    Attributes:
        source: where it is.
        where: in the folder.
        file: what is known of it.
        account: its rows.
    """

    source: Path
    where: str
    file: DataFile
    account: Account


@dataclass(slots=True)
class Recognised:
    """What a folder holds that is known.

    Attributes:
        imports: to be taken, by where they go.
        refused: file → why it is not taken, of those that look like one that is known.
        passed: how many other files there are.
    """

    imports: dict[str, Import] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)
    passed: int = 0


def recognised(source: Path, sets: Sequence[DataSet], *, step: Step = lambda *_: None) -> Recognised:
    """The known files under a folder: by digest, where it is that of a release; else by the end of their path.

    Raises:
        BadInput: there is no such folder, or two different files would go to one place.
    """
    if not source.is_dir():
        raise BadInput(f"{source} is no folder; name the one that a data set was copied or unpacked to")
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    candidates = {path: found for path in paths if (found := _candidates(path.relative_to(source).parts, sets))}
    told = Recognised(passed=len(paths) - len(candidates))
    for number, (path, found) in enumerate(candidates.items()):
        step(str(path.relative_to(source)), number, len(candidates))
        _recognise(path, found, told)
    step("", len(candidates), len(candidates))
    return told


def take(found: Recognised, data: Path, *, link: bool, origin: str) -> dict[str, str]:
    """Put recognised files into the folder, and write them into its index.

    Args:
        found: what is to be taken.
        data: the folder; it is made where it is not there.
        link: make symbolic links instead of copies.
        origin: what the index says of where they are from.

    Returns:
        Where in the folder → `imported`, `linked` or `already there`.

    Raises:
        BadInput: another file lies there, or something cannot be written.
    """
    done = {}
    for where, one in found.imports.items():
        done[where] = _put(one, data / where, link=link)
    _index(data, found.imports.values(), origin)
    return done


def _candidates(parts: tuple[str, ...], sets: Iterable[DataSet]) -> list[tuple[int, str, DataFile]]:
    """Which places of which files it may be, and how many parts of the path agree; those of which most do come first.

    It has to agree in all parts but the first, which is the folder of the set.
    """
    found = []
    for file in (file for one in sets for file in one.files):
        for where in file.paths:
            wanted = where.split("/")
            shared = len(list(takewhile(bool, map(str.__eq__, reversed(parts), reversed(wanted)))))
            if shared >= len(wanted) - 1:
                found.append((shared, where, file))
    return sorted(found, key=lambda candidate: -candidate[0])


def _recognise(path: Path, found: Sequence[tuple[int, str, DataFile]], told: Recognised) -> None:
    digest = digest_file(path)
    released = [(file.name, file) for _, _, file in found if digest in file.releases]
    best = released or [(where, file) for shared, where, file in found if shared == found[0][0]]
    fits = [(where, file, account) for where, file in best if (account := _account(file, path, told)) is not None]
    if not fits:
        return
    where, file, account = fits[0]
    other = told.imports.get(where)
    if other is not None and digest_file(other.source) != digest:
        raise BadInput(f"both {other.source} and {path} would be {where}; leave one of them out")
    told.refused.pop(path, None)
    told.imports[where] = Import(source=path, where=where, file=file, account=account)


def _account(file: DataFile, path: Path, told: Recognised) -> Account | None:
    try:
        account = file.account(path)
    except BadInput as error:
        told.refused[path] = str(error)
        return None
    if not account.taken:
        reasons = ", ".join(account.rejected) or "it is empty"
        told.refused[path] = f"none of its rows can be used: {reasons}"
        return None
    return account


def _put(one: Import, place: Path, *, link: bool) -> str:
    if place.exists():
        if digest_file(place, fresh=True) != digest_file(one.source, fresh=True):
            raise BadInput(f"{place} is there already, and is another file; move it away, or import somewhere else")
        return "already there"
    new = place.with_name(f".{place.name}.new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if link:
            place.symlink_to(one.source.resolve())
            return "linked"
        shutil.copyfile(one.source, new)
        if digest_file(new, fresh=True) != digest_file(one.source, fresh=True):
            raise BadInput(f"{one.source} changed while it was copied; try again")
        new.replace(place)
    except OSError as error:
        raise BadInput(f"cannot write {place}: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)
    return "imported"


def _index(data: Path, imports: Iterable[Import], origin: str) -> None:
    """The folder's index with these files in it; what else it says stays."""
    path = data / INDEX
    rows: dict[str, Mapping[str, str]] = {}
    if path.is_file():
        old = table(path, ("path", "sha256"), separator="\t")
        rows = {row.fields["path"]: row.fields for row in old if not isinstance(row, Rejected)}
    for one in imports:
        place = data / one.where
        digest = digest_file(place, fresh=True).removeprefix("sha256:")
        told = (one.where, str(one.account.rows), str(place.stat().st_size), digest, " ".join(origin.split()))
        rows[one.where] = dict(zip(_COLUMNS, told, strict=True))
    columns = list(dict.fromkeys((*_COLUMNS, *(name for row in rows.values() for name in row))))
    lines = ["\t".join(columns), *("\t".join(row.get(name, "") for name in columns) for row in rows.values())]
    write_whole(path, ("\n".join(lines) + "\n").encode())
