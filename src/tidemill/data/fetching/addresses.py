"""Where an address leads: to a local file, or to something that opens as a stream from any byte on.

A package address asks the package's own client (pip's settings, npm, apt) for its index, certificates and choice
of mirror, so that no registry is named here. Only the archive is downloaded: nothing of it is built, installed or run.
"""

import importlib.util
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from ast import literal_eval
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from tidemill.config import TRACKING_STORE
from tidemill.data.fetching import cache
from tidemill.data.fetching.transfer import (
    Opener,
    Unavailable,
    open_filesystem,
    open_http,
)

CLIENT_SECONDS = 180


def locate(address: str, pin: str) -> Path | Opener:
    """The file or stream behind an address.

    `pypi:name==version`, `npm:name@version`, `deb:name=version`, a file of a registered version as MLflow writes it
    (`models:/photos/3/artifacts/model/model.safetensors`), `http(s)://…`, anything else with `://` that fsspec knows
    (`s3://bucket/key`; its credentials come from its own settings), or a path. `pin`, a sha256, tells which file of a PyPI
    version is meant, where it has several.

    Raises:
        Unavailable: the address leads nowhere on this machine, with the reason.
    """
    scheme, colon, rest = address.partition(":")
    if scheme == "pypi" and colon:
        return _pypi(_checked(r"[\w.-]+==[\w.!+-]+", rest), pin)
    if scheme == "npm" and colon:
        return _npm(_checked(r"(@[\w.-]+/)?[\w.][\w.-]*@\d[\w.+-]*", rest))
    if scheme == "deb" and colon:
        return _deb(_checked(r"\w[\w.+-]*=\w[\w.:~+-]*", rest))
    if scheme == "models" and colon:
        return _registered(address)
    if scheme in ("http", "https"):
        return _web(address)
    if "://" in address:
        return partial(open_filesystem, address)
    return _local(Path(address).expanduser())


def _pypi(requirement: str, pin: str) -> Path | Opener:
    from httpx2 import HTTPError
    from unearth.errors import UnpackError

    finder = _package_finder()
    try:
        links = [package.link for package in finder.find_matches(requirement)]
    except (HTTPError, UnpackError, ValueError) as error:
        raise Unavailable(str(error)) from error
    pinned = [link for link in links if pin in (link.hash_option or {}).get("sha256", [])]
    sources = [link for link in links if not link.is_wheel]
    for link in pinned + sources:
        if link.is_file:
            return _local(link.file_path)
        return partial(open_http, link.url_without_fragment, finder.session)
    raise Unavailable("the package index has no file with that hash and no source archive of that version")


def _package_finder() -> Any:
    """A finder with pip's index, links, certificate and credentials."""
    from unearth import PackageFinder
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers import PyPIClient

    settings = _pip_settings()
    index, more, links, trusted = (
        settings.get(name, "").split() for name in ("index-url", "extra-index-url", "find-links", "trusted-host")
    )
    certificate = settings.get("cert")
    session: Any = PyPIClient(
        trusted_hosts=trusted, verify=ssl.create_default_context(cafile=certificate) if certificate else True
    )
    session.auth = MultiDomainBasicAuth(prompting=False, index_urls=index + more)
    finder = PackageFinder(session, index_urls=index, trusted_hosts=trusted, ignore_compatibility=True)
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        finder.sources.clear()
    for url in more:
        finder.add_index_url(url)
    for url in links:
        finder.add_find_links(url)
    return finder


def _pip_settings() -> dict[str, str]:
    """pip's settings, from its files and from the environment, as `pip download` would take them."""
    if importlib.util.find_spec("pip") is None:
        raise Unavailable("pip is not installed here: `python -m ensurepip`")
    settings = {}
    for line in _ask([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        settings[name] = str(literal_eval(value))
    sections = [f"{section}." for section in ("global", "download", ":env:")]  # the later ones win
    return {k.removeprefix(s): v for s in sections for k, v in settings.items() if k.startswith(s)}


def _npm(package: str) -> Opener:
    answer = _ask(["npm", "view", "--json", package, "dist.tarball"])
    if not answer.strip():
        raise Unavailable("the npm index has no such version")
    return _web(json.loads(answer))


def _deb(package: str) -> Path | Opener:
    uri = _deb_uri(package) or _deb_uri(package, _own_lists())
    if not uri:
        raise Unavailable("apt names no file for it")
    scheme, _, path = uri.partition(":")
    return _local(Path(path)) if scheme in ("file", "copy") else _web(uri)


def _deb_uri(package: str, options: tuple[str, ...] = ()) -> str | None:
    """Where apt would download it from; None where its lists of packages, which a new machine lacks, do not say."""
    try:
        answer = _ask(["apt-get", *options, "--print-uris", "download", package])
    except Unavailable:
        if options:
            raise
        return None
    found = re.search(r"^'([^']+)'", answer, re.MULTILINE)
    return found[1] if found else None


def _own_lists() -> tuple[str, ...]:
    """Bring lists of packages into the user's own cache, which takes no rights; the options that make apt read them."""
    lists = cache.folder() / "apt"
    options = ("-o", f"Dir::State::lists={lists / 'lists'}", "-o", f"Dir::Cache={lists}")
    with cache.locked("apt"):
        (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        _ask(["apt-get", *options, "-qq", "update"])
    return options


def _registered(address: str) -> Path:
    """A file of a registered version, brought by MLflow's own client into the user's cache."""
    inside = _checked(r"/[^/]+/[^/]+/(?!.*\.\.)\S+", address.partition(":")[2]).split("/", 3)[3]
    folder = cache.folder() / "registered" / sha256(address.encode()).hexdigest()
    command = ["artifacts", "download", "--artifact-uri", address, "--dst-path", str(folder)]
    store = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{TRACKING_STORE.resolve()}"
    _ask([sys.executable, "-m", "mlflow", *command], {"MLFLOW_TRACKING_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true"})
    return _local(folder / inside)


def _web(url: str) -> Opener:
    import httpx2

    return partial(open_http, url, httpx2.Client())


def _local(path: Path) -> Path:
    if not path.is_file():
        raise Unavailable("no such file")
    return path


def _checked(pattern: str, package: str) -> str:
    """The package, once it is sure to be a name and one exact version, not an option for the client."""
    if not re.fullmatch(pattern, package):
        raise Unavailable(
            "not a package address: write pypi:name==version, npm:name@version, deb:name=version or models:/name/version/file, "
            "one exact version"
        )
    return package


def _ask(command: list[str], settings: Mapping[str, str] | None = None) -> str:
    """What a client answers, given further environment variables."""
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{command[0]} is not installed here")
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(settings or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLIENT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} gave no answer in {CLIENT_SECONDS} s") from error
    if done.returncode:
        raise Unavailable(_reason(done.stderr) or f"{command[0]} ended with exit code {done.returncode}")
    return done.stdout


def _reason(complaint: str) -> str:
    """The one line of a client's complaint that says what is wrong."""
    found = re.search(
        r"^(?:E:|ERROR:|npm (?:error|ERR!)(?! code)(?: \d+)?)\s*(\S.*)",
        complaint,
        re.MULTILINE,
    )
    return found[1] if found else complaint.strip().rpartition("\n")[2]
