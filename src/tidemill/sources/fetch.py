"""Fill `data/` with the files of `sources:` in `params.yaml`.

Bytes are checked against their pinned hashes before they enter `data/`; a source is fetched whole or not at all.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder, sha256_file
from tidemill.sources import cache, snapshot
from tidemill.sources.addresses import locate
from tidemill.sources.archives import extract
from tidemill.sources.params import Download
from tidemill.sources.transfer import Unavailable, download


def fetch(
    sources: Mapping[str, Sequence[Download]],
    data: Path,
    names: Sequence[str] | None = None,
    refresh: bool = False,
) -> None:
    """Fetch the sources (all, or those named) into `data/<name>/`, and print a line for each.

    Files that are there with the right hash are not downloaded again. Files without a hash change over time: one that is
    there is kept or, with `refresh`, downloaded again. Once all sources are there, they are added to DVC's cache if they
    are what `data.dvc` pins.

    Raises:
        TidemillError: no such source; no address provides a file, with the reason for each; a hash is not the pinned one;
            an archive is damaged or hostile; a file cannot be written. Nothing of that source is left then.
    """
    chosen = list(sources if names is None else names)
    for name in chosen:
        if name not in sources:
            raise TidemillError(f"no source {name!r} in params.yaml; there are: {', '.join(sources) or 'none'}")
        _check_names(name, sources[name])
    fetched = False
    for name in chosen:
        try:
            fetched |= _fetch_source(name, sources[name], data / name, refresh)
        except OSError as error:
            raise TidemillError(
                f"{name}: {error}: it writes to {data / name} and to the cache {cache.folder()}; "
                "make room there, or set TIDEMILL_CACHE to a folder elsewhere"
            ) from error
    if fetched and names is None and not refresh:
        snapshot.keep(data)


def _check_names(source: str, downloads: Sequence[Download]) -> None:
    for wanted in downloads:
        if wanted.members and not wanted.sha256:
            raise TidemillError(f"sources.{source}: files are extracted from {wanted.from_[0]}, so it needs its sha256")
        paths = [member.path for member in (wanted.members or {}).values()]
        if len(set(paths)) < len(paths):
            raise TidemillError(f"sources.{source}: two files are extracted from one member of {wanted.from_[0]}")
    names = [name for wanted in downloads for name in _files(wanted)]
    for name in names:
        path = PurePosixPath(name)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise TidemillError(f"sources.{source}: {name!r} is not a file name inside data/{source}")
        if names.count(name) > 1:
            raise TidemillError(f"sources.{source}: two files are named {name!r}")


def _files(wanted: Download) -> dict[str, str | None]:
    """Return the hash of each file of a download by its name; None where it changes over time."""
    if wanted.members is not None:
        return {name: member.sha256 for name, member in wanted.members.items()}
    return {wanted.name or wanted.from_[0].rpartition("/")[2]: wanted.sha256}


def _fetch_source(source: str, downloads: Sequence[Download], folder: Path, refresh: bool) -> bool:
    """Fetch a source; return whether anything was missing."""
    with cache.locked(sha256(str(folder.resolve()).encode()).hexdigest()):
        files = {name: pin for wanted in downloads for name, pin in _files(wanted).items()}
        if all(_has_hash(folder / name, pin) and not (refresh and pin is None) for name, pin in files.items()):
            print(f"{source}: already there, {_summary(folder, files)}", flush=True)
            return False
        archives = [_downloaded(source, wanted, wanted.sha256) if wanted.sha256 else None for wanted in downloads]
        with finished_folder(folder) as partial:
            for wanted, archive in zip(downloads, archives, strict=True):
                _place(source, wanted, archive, partial)
        print(f"{source}: fetched, {_summary(folder, files)}", flush=True)
        return True


def _downloaded(source: str, wanted: Download, pin: str) -> Path:
    """Return the downloaded file, with the right hash: in the cache, or at a local address."""
    cached = cache.folder() / pin
    with cache.locked(pin):
        if _has_hash(cached, pin):
            return cached
        return _first(source, wanted, lambda address: _download(source, address, pin, cached, wanted.size))


def _first(source: str, wanted: Download, get: Callable[[str], Path]) -> Path:
    """Return the file from the first address that provides it."""
    reasons = []
    for address in wanted.from_:
        try:
            return get(address)
        except Unavailable as reason:
            reasons.append(f"{address}: {reason}")
    raise TidemillError(f"{source}: no address provides its file: {'; '.join(reasons)}")


def _download(source: str, address: str, pin: str, cached: Path, size: int | None) -> Path:
    found = locate(address, pin)
    if isinstance(found, Path):
        _check_hash(found, pin, f"{source}: {address}")
        return found
    part = cached.with_suffix(".part")
    resumed = part.exists()
    download(found, part, source, size)
    try:
        if resumed and not _has_hash(part, pin):  # the bytes of an earlier try may be wrong: once more from the start
            part.unlink()
            download(found, part, source, size)
        _check_hash(part, pin, f"{source}: {address}")
    except TidemillError:
        part.unlink()
        raise
    os.replace(part, cached)
    return cached


def _download_latest(source: str, address: str, target: Path, size: int | None) -> Path:
    """Download a file without a hash, never resuming: the file may have changed in between."""
    found = locate(address, "")
    if isinstance(found, Path):
        shutil.copyfile(found, target)
    else:
        target.unlink(missing_ok=True)
        download(found, target, source, size, tries=1)
    return target


def _place(source: str, wanted: Download, archive: Path | None, folder: Path) -> None:
    files = _files(wanted)
    if wanted.members is None:
        (target,) = (folder / name for name in files)
        target.parent.mkdir(parents=True, exist_ok=True)
        if archive is None:
            _first(source, wanted, lambda address: _download_latest(source, address, target, wanted.size))
        else:
            shutil.copyfile(archive, target)
    elif archive is not None:
        extract(
            archive,
            {member.path: folder / name for name, member in wanted.members.items()},
            source,
        )
    for name, pin in files.items():
        if pin is not None:
            _check_hash(folder / name, pin, f"{source}: {name}")


def _has_hash(path: Path, pin: str | None) -> bool:
    return path.is_file() and (pin is None or sha256_file(path) == pin)


def _check_hash(path: Path, pin: str, label: str) -> None:
    found = sha256_file(path)
    if found != pin:
        raise TidemillError(f"{label} has the wrong hash: pinned sha256 {pin}, found {found}; nothing of it was kept")


def _summary(folder: Path, files: Mapping[str, str | None]) -> str:
    megabytes = sum((folder / name).stat().st_size for name in files) / 1e6
    return f"{len(files)} file{'s' * (len(files) > 1)}, {megabytes:.1f} MB in {folder}"
