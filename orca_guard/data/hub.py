"""Data sets from the Hugging Face hub, at a commit that is known and recorded, and only when somebody asks for it."""

from __future__ import annotations

from pathlib import Path

from orca_guard.data.sets import DataSet
from orca_guard.errors import BadInput, DataAbsent, NotReady

_FORMS = ["*.json", "*.jsonl", "*.csv", "*.tsv", "*.txt", "*.gz"]


def pull(one: DataSet, folder: Path, *, revision: str) -> Path:
    """Fetch a data set's files from the hub into an empty folder.

    Args:
        one: the set.
        folder: where they go.
        revision: branch, tag or commit; empty is the default branch.

    Returns:
        The folder in it that holds them, called after their commit.

    Raises:
        DataAbsent: it is not on the hub by its authors; it says where it is to be had by hand.
        BadInput: there is no such revision.
        NotReady: the hub cannot be reached or does not give it.
    """
    if not one.hub:
        raise DataAbsent(
            f"{one.name} is not on the hub by its authors. Get it by hand from {one.origin}, "
            "and then: orca-guard data import FOLDER"
        )
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # a listing needs no network
    from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError  # noqa: PLC0415  # as above

    try:
        found = snapshot_download(
            one.hub, repo_type="dataset", revision=revision or None, cache_dir=folder, allow_patterns=_FORMS
        )
    except RevisionNotFoundError as error:
        raise BadInput(f"{one.hub} on the hub has no revision {revision!r}") from error
    except (HfHubHTTPError, OSError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotReady(
            f"pull needs the network, and the hub did not give {one.hub}: {why.rstrip('.')}. "
            f"By hand it is to be had from {one.origin}; then: orca-guard data import FOLDER"
        ) from error
    return Path(found)
