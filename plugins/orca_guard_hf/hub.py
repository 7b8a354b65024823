"""Model directories from the hub: at a commit that is known and recorded, and from the cache alone when offline."""

from __future__ import annotations

from pathlib import Path

import httpx
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from orca_guard.errors import BadInput, ModelFailed

_SMALL = ["*.json", "*.jinja", "*.model", "*.txt", "profile.toml"]


def download(reference: str, *, revision: str, offline: bool, code: bool) -> tuple[Path, str]:
    """The snapshot's directory and its commit.

    Args:
        reference: `organisation/name`.
        revision: branch, tag or commit; empty is the default branch, whose commit is then resolved.
        offline: use what is in the cache.
        code: fetch Python files too.

    Raises:
        BadInput: there is no such model or revision, or access is not granted.
        ModelFailed: it is not in the cache and the network is off or does not answer.
    """
    small = [*_SMALL, *(["*.py"] if code else [])]
    folder = _snapshot(reference, revision, small, offline=offline)
    weights = "*.safetensors"
    folder = _snapshot(reference, folder.name, [*small, weights], offline=offline)
    if not any(folder.glob(weights)):
        folder = _snapshot(reference, folder.name, [*small, "pytorch_model*.bin"], offline=offline)
    return folder, folder.name


def _snapshot(reference: str, revision: str, patterns: list[str], *, offline: bool) -> Path:
    try:
        return Path(
            snapshot_download(reference, revision=revision or None, allow_patterns=patterns, local_files_only=offline)
        )
    except GatedRepoError as error:
        raise BadInput(
            f"access to {reference} on the hub is not granted. Accept its terms there, then log in."
        ) from error
    except RevisionNotFoundError as error:
        raise BadInput(f"{reference} on the hub has no revision {revision!r}.") from error
    except (LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise _unreachable(reference, error, offline=offline) from error
    except (EntryNotFoundError, HFValidationError) as error:
        raise BadInput(f"{reference!r} cannot be fetched from the hub: {str(error).splitlines()[0]}") from error


def _unreachable(reference: str, error: Exception, *, offline: bool) -> BadInput | ModelFailed:
    if isinstance(error, RepositoryNotFoundError):
        return BadInput(f"there is no directory {reference!r}, and no such model on the hub that you may read.")
    if isinstance(error, HfHubHTTPError):
        return ModelFailed(f"the hub did not give {reference}: {str(error).splitlines()[0]}")
    if offline or constants.HF_HUB_OFFLINE:
        return ModelFailed(
            f"there is no directory {reference!r}, and offline it can only come from the hub's cache, which lacks it. "
            "Download it while online, or give a directory."
        )
    return ModelFailed(
        f"there is no directory {reference!r}, and the hub cannot be reached. Check the network, or give a directory."
    )
