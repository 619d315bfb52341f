"""An anchor outside: a bucket with object lock, which holds the name of every decision and from which nobody can delete.

`keys/anchor.json`, under git, names it. Each decision becomes an empty object `<system>/<number>-<sha256>`; the name says
it all, so that it does not matter who overwrites an object. A log that lacks a decision that the anchor has was cut.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.registry.decision_entry import Entry
from tidemill.registry.lineage import KEYS
from tidemill.tracking.store import project_root

ANCHOR = KEYS / "anchor.json"


class Anchor(Params):
    """The content of `keys/anchor.json`."""

    address: str
    """A folder of any store that fsspec knows: `s3://bucket/decisions`."""


def write(system: str, entries: Sequence[Entry]) -> None:
    """Add the decisions that the anchor lacks, if one is set.

    Raises:
        TidemillError: it does not take them.
    """
    if (found := _setting()) is None:
        return
    try:
        store, folder = _open(found.address, system)
        known = _names(store, folder)
        if not _is_s3(store):  # which knows no folders
            store.makedirs(folder, exist_ok=True)
        for entry in entries:
            if _name(entry) not in known:
                store.pipe_file(f"{folder}/{_name(entry)}", b"")
    except Exception as error:  # each of fsspec's stores raises its own
        raise TidemillError(
            f"{system}: the decision was made, and {found.address}, which {ANCHOR} names, does not take it: "
            f"{_message(error)}; `tidemill audit {system} --repair` tries again"
        ) from error


def difference(system: str, entries: Sequence[Entry]) -> str | None:
    """Return the first decision that the anchor has and the log lacks, or the other way round; None without an anchor.

    Raises:
        TidemillError: it cannot be read.
    """
    if (found := _setting()) is None:
        return None
    try:
        known = _names(*_open(found.address, system))
    except Exception as error:
        raise TidemillError(f"{found.address}, which {ANCHOR} names, cannot be read: {_message(error)}") from error
    own = {_name(entry) for entry in entries}
    if cut := sorted(known - own):
        return f"{found.address} has decision {int(cut[0].partition('-')[0])}, which the log lacks: it was removed or changed"
    if lacking := sorted(own - known):
        return f"{found.address} lacks decision {int(lacking[0].partition('-')[0])}: `tidemill audit {system} --repair` adds it"
    return None


def systems() -> set[str]:
    """Return the systems that the anchor knows decisions on.

    Raises:
        TidemillError: it cannot be read.
    """
    if (found := _setting()) is None:
        return set()
    try:
        store, folder = _open(found.address, "")
        return {PurePosixPath(path).parent.name for path in _paths(store, folder)}
    except Exception as error:
        raise TidemillError(f"{found.address}, which {ANCHOR} names, cannot be read: {_message(error)}") from error


def _setting() -> Anchor | None:
    path = project_root() / ANCHOR
    if not path.exists():
        return None
    try:
        return Anchor.model_validate_json(path.read_bytes())
    except ValidationError as error:
        [first, *_] = error.errors()
        raise TidemillError(f"{ANCHOR}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from error


def _open(address: str, system: str) -> tuple[Any, str]:
    """Return the filesystem and the folder; of S3 every version of every object, also of those that seem deleted."""
    import fsspec

    options = {"version_aware": True, "use_listings_cache": False} if address.startswith("s3://") else {}
    store, folder = fsspec.url_to_fs(address, **options)
    return store, f"{folder.rstrip('/')}/{system}".rstrip("/")


def _names(store: Any, folder: str) -> set[str]:
    return {PurePosixPath(path).name for path in _paths(store, folder)}


def _paths(store: Any, folder: str) -> list[str]:
    if _is_s3(store):
        return [*_versions(store, folder)]
    return [str(path) for path in store.find(folder)] if store.exists(folder) else []


def _is_s3(store: Any) -> bool:
    return "s3" in store.protocol


def _versions(store: Any, folder: str) -> Iterator[str]:
    """Yield the key of each version of each object, also of those that a delete marker hides."""
    bucket, prefix, _ = store.split_path(folder)
    page: dict[str, Any] = {"IsTruncated": True}
    while page.get("IsTruncated"):
        markers = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
        after = {name: page[following] for name, following in markers.items() if following in page}
        page = store.call_s3("list_object_versions", Bucket=bucket, Prefix=f"{prefix}/" if prefix else "", **after)
        yield from (version["Key"] for version in page.get("Versions", []))


def _name(entry: Entry) -> str:
    return f"{entry.number:08d}-{entry.sha256}"


def _message(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
