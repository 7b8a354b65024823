"""Published data over the network, at a commit that is known and recorded, and only when somebody asks for it."""

from __future__ import annotations

import tarfile
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import IO

from orca_guard.data.sets import DataSet
from orca_guard.errors import BadInput, DataAbsent, NotReady, OrcaGuardError

ARCHIVES = "https://codeload.github.com/{repository}/tar.gz/{revision}"
"""Where a repository is to be had as it was at a commit."""

_FORMS = ["*.json", "*.jsonl", "*.csv", "*.tsv", "*.txt", "*.gz"]
_LARGEST = 4 * 2**30
_PIECE = 2**20
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Pulled:
    """What was fetched: the folder that holds it, and where it is from, with its commit."""

    folder: Path
    origin: str


def pull(one: DataSet, folder: Path, *, revision: str) -> Pulled:
    """Fetch a data set's files into an empty folder: from the hub, or from the repository that its authors publish.

    Args:
        one: the set.
        folder: where they go.
        revision: branch, tag or commit; empty is the hub's default branch, or the commit of the repository that this
            version was tested with.

    Raises:
        DataAbsent: it is at neither; it says where it is to be had by hand.
        BadInput: there is no such revision.
        NotReady: the network cannot be reached, or does not give it.
    """
    if one.hub:
        place = _of_hub(one, folder, revision)
        return Pulled(place, f"hf://datasets/{one.hub}@{place.name}")
    if one.repository:
        return _of_repository(one, folder, revision)
    raise DataAbsent(
        f"{one.name} is neither on the hub nor in a repository by its authors. Get it by hand from {one.origin}, "
        "and then: orca-guard data import FOLDER"
    )


def _of_hub(one: DataSet, folder: Path, revision: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # a listing needs no network
    from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError  # noqa: PLC0415  # as above

    try:
        found = snapshot_download(
            one.hub, repo_type="dataset", revision=revision or None, cache_dir=folder, allow_patterns=_FORMS
        )
    except RevisionNotFoundError as error:
        raise BadInput(f"{one.hub} on the hub has no revision {revision!r}") from error
    except (HfHubHTTPError, OSError) as error:
        raise _not_given(one, f"the hub did not give {one.hub}", error) from error
    return Path(found)


def _of_repository(one: DataSet, folder: Path, revision: str) -> Pulled:
    repository, _, pinned = one.repository.partition("@")
    wanted = revision or pinned
    with tempfile.TemporaryFile() as packed:
        _fetch(one, ARCHIVES.format(repository=repository, revision=wanted), packed, f"{repository}@{wanted}")
        packed.seek(0)
        try:
            with tarfile.open(fileobj=packed, mode="r:gz") as archive:
                members = [member for member in archive if _is_data(member)]
                archive.extractall(folder, members=members, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise _not_given(one, f"what {repository} gave is no archive", error) from error
    tops = [path for path in folder.iterdir() if path.is_dir()]
    if len(tops) != 1:
        raise NotReady(f"the archive of {repository} at {wanted} has no file of data")
    commit = tops[0].name.rpartition("-")[2]
    return Pulled(tops[0], f"github.com/{repository}@{commit}")


def _is_data(member: tarfile.TarInfo) -> bool:
    return member.isfile() and any(fnmatch(PurePosixPath(member.name).name, form) for form in _FORMS)


def _fetch(one: DataSet, url: str, packed: IO[bytes], what: str) -> None:
    """The archive at an address, as far as it is not larger than any of them may be."""
    import httpx  # noqa: PLC0415  # as above

    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=60) as reply:
            if reply.status_code == _NOT_FOUND:
                raise BadInput(f"there is no {what}: the repository has no such revision")
            reply.raise_for_status()
            size = 0
            for piece in reply.iter_bytes(_PIECE):
                size += len(piece)
                if size > _LARGEST:
                    raise NotReady(f"{what} is larger than {_LARGEST >> 30} GiB; get it by hand from {one.origin}")
                packed.write(piece)
    except OrcaGuardError:
        raise
    except (httpx.HTTPError, OSError) as error:
        raise _not_given(one, f"{what} could not be fetched", error) from error


def _not_given(one: DataSet, what: str, error: Exception) -> NotReady:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return NotReady(
        f"pull needs the network, and {what}: {why.rstrip('.')}. "
        f"By hand it is to be had from {one.origin}; then: orca-guard data import FOLDER"
    )
