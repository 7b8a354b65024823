"""Data sets as they were published, and where their files lie in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from orca_guard.data.rows import Account, Parsed, table
from orca_guard.errors import BadInput, DataAbsent
from orca_guard.identity import digest_file
from orca_guard.items import Rejected

VARIABLE = "ORCA_GUARD_DATA"
"""The environment variable that names the folder where no option does."""

INDEX = "FILES.tsv"
"""A folder's own list of what lies in it: a table with at least the columns `path` and `sha256`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file of a data set.

    Attributes:
        paths: where it may lie, from the folder of data; the first is where an import puts it.
        read: path → every row, taken or rejected.
        releases: digest → name of the release, of those that are known. A file of another release than these is taken;
            one that is known to be a different file of the same set is not.
        origin: where it can be had, if not where the rest of the set is.
    """

    paths: tuple[str, ...]
    read: Callable[[Path], Iterable[Parsed[Any]]]
    releases: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""

    @property
    def name(self) -> str:
        """Where it should lie."""
        return self.paths[0]

    def of(self, files: Mapping[str, Path]) -> Path:
        """The one of a benchmark's files that is this one."""
        return next(path for name, path in files.items() if name in self.paths)

    def account(self, path: Path) -> Account:
        """What becomes of its rows. Raises `BadInput` where the file cannot be used at all."""
        account = Account()
        for row in self.read(path):
            account.add(row)
        return account


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A published data set.

    Attributes:
        name: its folder within the folder of data.
        summary: one line for listings.
        licence: of the data, as its authors state it.
        origin: where it can be had by hand.
        files: all that is known of it.
        hub: id of the data set on the Hugging Face hub, where it is published there by its authors or in their name.
        repository: on GitHub where it is published, with the commit that this version was tested with, as
            `owner/name@commit`.
    """

    name: str
    summary: str
    licence: str
    origin: str
    files: tuple[DataFile, ...]
    hub: str = ""
    repository: str = ""

    def present(self, folder: Path, files: Sequence[DataFile] = ()) -> dict[str, Path]:
        """Those of the files that lie in a folder, by where they lie in it.

        Args:
            folder: of data.
            files: only these.
        """
        return {where: folder / where for file in files or self.files if (where := self._place(file, folder))}

    def _place(self, file: DataFile, folder: Path) -> str:
        others = {digest for other in self.files if other is not file for digest in other.releases} - {*file.releases}
        for where in file.paths:
            path = folder / where
            if path.is_file() and (not others or digest_file(path) not in others):
                return where
        return ""

    def find(
        self, data: Path | None, files: Sequence[DataFile], *, some: bool = False, beside: Sequence[DataFile] = ()
    ) -> dict[str, Path]:
        """Files that a benchmark needs, by where they lie in the folder of data.

        Args:
            data: the folder, where one was named.
            files: of this set.
            some: whether one of them is enough.
            beside: files that are used where they are there.

        Raises:
            DataAbsent: they are not there; it says where they are to be had.
            BadInput: one is not what the folder's own index says it is.
        """
        if data is None:
            raise DataAbsent(f"data absent: no folder of data is named; name one by --data or {VARIABLE}")
        found = self.present(data, files)
        missing = [file for file in files if not set(file.paths) & found.keys()]
        if missing and not (some and found):
            origin = missing[0].origin or self.origin
            raise DataAbsent(f"data absent: {missing[0].name} is not in {data}; it is to be had from {origin}")
        if beside:
            found |= self.present(data, beside)
        for where, path in found.items():
            if fault := changed(data, where, path):
                raise BadInput(fault)
        return found


def folder_named(option: str) -> str:
    """The folder of data: what an option says, or the environment, or nothing."""
    return option or os.environ.get(VARIABLE, "")


def changed(data: Path, where: str, path: Path) -> str:
    """How a file differs from what the folder's index says of it; "" where it does not, or nothing is said."""
    wanted = indexed(data).get(where)
    if wanted is None or (found := digest_file(path)) == wanted:
        return ""
    return f"{path}: its digest is {found}, and {INDEX} says {wanted}: it is damaged or was changed; import it again"


def indexed(data: Path) -> Mapping[str, str]:
    """Path → digest, as a folder's index has them."""
    path = data / INDEX
    return _indexed(path, path.stat().st_mtime_ns) if path.is_file() else {}


@cache
def _indexed(path: Path, _modified: int) -> dict[str, str]:
    rows = [row for row in table(path, ("path", "sha256"), separator="\t") if not isinstance(row, Rejected)]
    return {row.fields["path"]: f"sha256:{row.fields['sha256'].removeprefix('sha256:')}" for row in rows}


def values(rows: Iterable[Parsed[Any]]) -> Iterator[Any]:
    """What was taken, and `Rejected` rows as they are: what a benchmark goes through."""
    return (row if isinstance(row, Rejected) else row.value for row in rows)
