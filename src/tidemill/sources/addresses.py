"""Where an address leads: to a local file, or to something that opens as a stream from any byte on.

For a package, its own client (pip's settings, npm, apt) provides index, certificates and mirror, so that no registry is
named here. Only the archive is downloaded: nothing of it is built, installed or run.
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

from tidemill.sources import cache
from tidemill.sources.transfer import Opener, Unavailable, open_filesystem, open_http
from tidemill.tracking.store import store_uri

CLIENT_SECONDS = 180


def locate(address: str, pin: str) -> Path | Opener:
    """Return the file or stream behind an address.

    `pypi:name==version`, `npm:name@version`, `deb:name=version`, a file of a registered version as MLflow writes it
    (`models:/photos/3/artifacts/model/model.safetensors`), `http(s)://…`, anything else with `://` that fsspec
    supports (`s3://bucket/key`; its credentials come from its own settings), or a path.

    Args:
        pin: the sha256 of the file: it selects among the files of a PyPI version.

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
    raise Unavailable("the package index has neither a file with that hash nor a source archive of that version")


def _package_finder() -> Any:
    """Return a finder with pip's index, links, certificate and credentials."""
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
    """Return pip's settings, from its files and the environment, as `pip download` would use them."""
    if importlib.util.find_spec("pip") is None:
        raise Unavailable("pip is not installed here: `python -m ensurepip`")
    settings = {}
    for line in _output([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        settings[name] = str(literal_eval(value))
    sections = [f"{section}." for section in ("global", "download", ":env:")]  # the later ones win
    return {k.removeprefix(s): v for s in sections for k, v in settings.items() if k.startswith(s)}


def _npm(package: str) -> Opener:
    output = _output(["npm", "view", "--json", package, "dist.tarball"])
    if not output.strip():
        raise Unavailable("the npm index has no such version")
    return _web(json.loads(output))


def _deb(package: str) -> Path | Opener:
    uri = _deb_uri(package) or _deb_uri(package, _own_lists())
    if not uri:
        raise Unavailable("apt knows no file for it")
    scheme, _, path = uri.partition(":")
    return _local(Path(path)) if scheme in ("file", "copy") else _web(uri)


def _deb_uri(package: str, options: tuple[str, ...] = ()) -> str | None:
    """Return where apt would download it from; None if its lists of packages, which a new machine lacks, do not tell."""
    try:
        output = _output(["apt-get", *options, "--print-uris", "download", package])
    except Unavailable:
        if options:
            raise
        return None
    found = re.search(r"^'([^']+)'", output, re.MULTILINE)
    return found[1] if found else None


def _own_lists() -> tuple[str, ...]:
    """Download lists of packages into the user's own cache, which needs no privileges; return the options to use them."""
    lists = cache.folder() / "apt"
    options = ("-o", f"Dir::State::lists={lists / 'lists'}", "-o", f"Dir::Cache={lists}")
    with cache.locked("apt"):
        (lists / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        _output(["apt-get", *options, "-qq", "update"])
    return options


def _registered(address: str) -> Path:
    """Download a file of a registered version into the user's cache with MLflow's own client."""
    inside = _checked(r"/[^/]+/[^/]+/(?!.*\.\.)\S+", address.partition(":")[2]).split("/", 3)[3]
    folder = cache.folder() / "registered" / sha256(address.encode()).hexdigest()
    command = ["artifacts", "download", "--artifact-uri", address, "--dst-path", str(folder)]
    _output(
        [sys.executable, "-m", "mlflow", *command],
        {"MLFLOW_TRACKING_URI": store_uri(), "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    return _local(folder / inside)


def _web(url: str) -> Opener:
    import httpx2

    return partial(open_http, url, httpx2.Client())


def _local(path: Path) -> Path:
    if not path.is_file():
        raise Unavailable("no such file")
    return path


def _checked(pattern: str, package: str) -> str:
    """Return the package if it is a name and one exact version, and not an option for the client."""
    if not re.fullmatch(pattern, package):
        raise Unavailable(
            "not a package address: use pypi:name==version, npm:name@version, deb:name=version or models:/name/version/file, "
            "with one exact version"
        )
    return package


def _output(command: list[str], settings: Mapping[str, str] | None = None) -> str:
    """Run a client, with further environment variables, and return its output."""
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
        raise Unavailable(f"{command[0]} did not finish in {CLIENT_SECONDS} s") from error
    if done.returncode:
        raise Unavailable(_reason(done.stderr) or f"{command[0]} ended with exit code {done.returncode}")
    return done.stdout


def _reason(errors: str) -> str:
    """Return the line of a client's errors that says what is wrong."""
    found = re.search(
        r"^(?:E:|ERROR:|npm (?:error|ERR!)(?! code)(?: \d+)?)\s*(\S.*)",
        errors,
        re.MULTILINE,
    )
    return found[1] if found else errors.strip().rpartition("\n")[2]
