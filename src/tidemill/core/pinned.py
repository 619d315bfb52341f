"""Files of others that a stage reads in addition to its data, such as a tokenizer: from a folder or a hub, pinned by hash.

The pin is part of the params, so that a stage runs again when another file is named, and stops when the file is not the
one that is pinned.
"""

from pathlib import Path

from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.core.params import Params, Sha256


class PinnedFile(Params):
    """One file of a folder in Hugging Face's layout."""

    path: str = Field(min_length=1)
    """A folder (`data/minilm`), or else an id of the Hugging Face Hub (`owner/name`, `owner/name@revision`)."""
    sha256: Sha256
    """The hash of the file."""


def pinned(file: PinnedFile, names: tuple[str, ...]) -> Path:
    """Return the first of these files that is there, after checking its hash.

    Raises:
        TidemillError: there is no such folder or id, or the file has another hash.
    """
    path = _located(file.path, names)
    found = sha256_file(path)
    if found != file.sha256:
        raise TidemillError(f"{path} has the sha256 {found}, but the params ask for {file.sha256}")
    return path


def at_hand(source: str, name: str) -> Path | None:
    """Return a file of a folder or hub id if nothing has to be downloaded for it, whatever its hash."""
    if Path(source).is_dir():
        return Path(source) / name if (Path(source) / name).is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repository, _, revision = source.partition("@")
    try:
        cached = try_to_load_from_cache(repository, name, revision=revision or None)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None


def _located(source: str, names: tuple[str, ...]) -> Path:
    if not Path(source).is_dir():
        return _from_hub(source, names)
    for name in names:
        if (Path(source) / name).is_file():
            return Path(source) / name
    raise TidemillError(f"{source} holds no {' and no '.join(names)}")


def _from_hub(source: str, names: tuple[str, ...]) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = source.partition("@")
    for name in names:
        try:
            return Path(hf_hub_download(repository, name, revision=revision or None))
        except LocalEntryNotFoundError as error:
            raise _not_found(source, "the hub cannot be reached and the file is not in its cache") from error
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            raise _not_found(source, " ".join(str(error).split())) from error
    raise TidemillError(f"{source} on the hub holds no {' and no '.join(names)}")


def _not_found(source: str, reason: str) -> TidemillError:
    return TidemillError(
        f"{source} is not a folder here (`tidemill fetch` downloads those of params.yaml), and {reason}"
    )
