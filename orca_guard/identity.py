"""The one place that computes identities: digests of values, files, model directories and plugins.

A digest names its algorithm: `sha256:` and 64 hex digits. Values are digested over canonical JSON (RFC 8785), so equal
values have equal digests whatever wrote them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import rfc8785

_CHUNK = 1 << 20
_memo_lock = threading.Lock()


def canonical(value: Any) -> bytes:
    """RFC 8785 canonical JSON. Integers beyond 2**53 are written as text, because JSON has no room for them."""
    return rfc8785.dumps(_plain(value))


def digest_of(value: Any) -> str:
    """Digest of a JSON-like value."""
    return digest_bytes(canonical(value))


def digest_text(text: str) -> str:
    """Digest of a text's UTF-8 bytes; lone surrogates count as they stand."""
    return digest_bytes(text.encode("utf-8", "surrogatepass"))


def digest_bytes(data: bytes) -> str:
    """Digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_file(path: Path, *, fresh: bool = False) -> str:
    """Digest of a file's bytes, remembered by path, size, modification time and inode.

    Args:
        path: the file.
        fresh: compute it whatever is remembered.
    """
    status = path.stat()
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"
    if not fresh and status.st_size > _CHUNK and (known := _recall(key)):
        return known
    digest = _hash_file(path)
    if status.st_size > _CHUNK:
        _remember(key, digest)
    return digest


def digest_files(paths: Mapping[str, Path], *, fresh: bool = False) -> str:
    """One digest over named files: their names and bytes, in the order of the names."""
    return digest_of({name: digest_file(paths[name], fresh=fresh) for name in sorted(paths)})


def digest_package(folder: Path) -> str:
    """Digest of a plugin's package: every file in its folder but what Python itself writes."""
    return digest_files({p.relative_to(folder).as_posix(): p for p in _sources(folder)})


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed that depends on every part and on nothing else."""
    return int.from_bytes(hashlib.sha256(canonical(list(parts))).digest()[:8], "big") >> 1


_EMPTY = {None, "[]", "{}"}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """`path: old → new`, a line for every leaf that differs; none for a list or table that was or became empty."""
    a, b = dict(_leaves(old)), dict(_leaves(new))
    within = {path[: found.start()] for path in a.keys() | b.keys() for found in re.finditer(r"[.\[]", path)}
    return [
        f"{path}: {a.get(path, 'absent')} → {b.get(path, 'absent')}"
        for path in sorted((a.keys() | b.keys()) - {""})
        if a.get(path) != b.get(path) and not (path in within and {a.get(path), b.get(path)} <= _EMPTY)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(str(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53 - 1:
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, json.dumps(value, ensure_ascii=False, default=str)


def _sources(folder: Path) -> Iterable[Path]:
    return (p for p in sorted(folder.rglob("*")) if p.is_file() and "__pycache__" not in p.parts)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _memo_path() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "orca-guard" / "digests.json"


def _memo() -> dict[str, str]:
    try:
        memo = json.loads(_memo_path().read_text("utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return memo if isinstance(memo, dict) else {}


def _recall(key: str) -> str | None:
    with _memo_lock:
        return _memo().get(key)


def _remember(key: str, digest: str) -> None:
    """Write the memo whole, so that a reader never sees half of it. A cache that cannot be written is no cache."""
    with _memo_lock:
        try:
            path = _memo_path()
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
                json.dump({**_memo(), key: digest}, file)
            Path(file.name).replace(path)
        except (OSError, RuntimeError):  # a user without a home has no place for it
            return
