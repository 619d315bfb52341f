"""Fetching from Python, npm and Debian packages through their own clients, which say which index they use."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from hashlib import sha256, sha512
from pathlib import Path

import pytest

from tests.projects import ROOT
from tests.unit.sources.range_server import Site
from tidemill.core.errors import TidemillError
from tidemill.project.params import load_project
from tidemill.sources.archives import extract
from tidemill.sources.fetch import fetch
from tidemill.sources.params import Download

SOURCE, WHEEL = b"the source archive", b"the wheel"

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def python_index(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A package index on the loopback, made known to pip by its own variable."""
    site.files["/simple/toy/"] = "".join(
        f'<a href="/files/{name}#sha256={sha256(content).hexdigest()}">{name}</a>'
        for name, content in {"toy-1.0.tar.gz": SOURCE, "toy-1.0-cp27-none-win32.whl": WHEEL}.items()
    ).encode()
    site.files |= {"/files/toy-1.0.tar.gz": SOURCE, "/files/toy-1.0-cp27-none-win32.whl": WHEEL}
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", site.address + "/simple")
    return site


def package(address: str, pin: str) -> Download:
    return Download.model_validate({"from": [address], "sha256": pin, "licence": "MIT", "name": "file"})


@pytest.mark.parametrize("content", [SOURCE, WHEEL], ids=["source", "wheel of another machine"])
def test_pip_gives_the_file_whose_declared_hash_is_the_pin(content: bytes, python_index: Site, tmp_path: Path) -> None:
    fetch({"s": [package("pypi:toy==1.0", sha256(content).hexdigest())]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == content


def test_pip_gives_the_source_archive_where_no_hash_is_declared(python_index: Site, tmp_path: Path) -> None:
    python_index.files["/simple/toy/"] = re.sub(rb"#sha256=\w+", b"", python_index.files["/simple/toy/"])
    fetch({"s": [package("pypi:toy==1.0", sha256(SOURCE).hexdigest())]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == SOURCE


def test_pip_takes_a_folder_of_files_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links/toy-1.0.tar.gz").write_bytes(SOURCE)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    fetch({"s": [package("pypi:toy==1.0", sha256(SOURCE).hexdigest())]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == SOURCE


@pytest.mark.parametrize("version", ["toy==2.0", "nosuch==1.0"])
def test_pip_says_that_there_is_no_such_version(version: str, python_index: Site, tmp_path: Path) -> None:
    with pytest.raises(TidemillError, match=f"pypi:{version}: the package index has neither a file"):
        fetch({"s": [package(f"pypi:{version}", "0" * 64)]}, tmp_path / "data")


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed here")
def test_npm_asks_its_own_registry_and_runs_no_script(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = npm_package({"name": "toy", "version": "1.0.0", "scripts": {"preinstall": f"touch {tmp_path}/ran"}})
    integrity = "sha512-" + base64.b64encode(sha512(archive).digest()).decode()
    version = {
        "name": "toy",
        "version": "1.0.0",
        "dist": {"tarball": site.address + "/toy.tgz", "integrity": integrity},
    }
    entry = {"name": "toy", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    site.files |= {"/toy": json.dumps(entry).encode(), "/toy.tgz": archive}
    monkeypatch.setenv("npm_config_registry", site.address)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    fetch({"s": [package("npm:toy@1.0.0", sha256(archive).hexdigest())]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == archive
    assert not (tmp_path / "ran").exists()
    with pytest.raises(TidemillError, match=r"npm:toy@2\.0\.0: No match found for version 2\.0\.0"):
        fetch({"t": [package("npm:toy@2.0.0", "0" * 64)]}, tmp_path / "data")


def npm_package(manifest: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        content = json.dumps(manifest).encode()
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def answers(*command: str) -> str:
    """What a client answers; the test is skipped where there is no client or its index cannot be reached."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed here")
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode or not done.stdout.strip():
        pytest.skip(f"{command[0]} reaches no index here: {done.stderr.strip()[-200:]}")
    return done.stdout


def fetch_member(folder: Path, address: str, archive: str, path: str, member: str) -> bytes:
    """Fetch one file of a package, both pinned by their SHA-256; return its content."""
    pinned = {
        "from": [address],
        "sha256": archive,
        "licence": "MIT",
        "members": {"file": {"path": path, "sha256": member}},
    }
    fetch({"package": [Download.model_validate(pinned)]}, folder / "data")
    return (folder / "data/package/file").read_bytes()


def test_a_real_python_package(tmp_path: Path) -> None:
    answers(sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(tmp_path), "six==1.17.0")
    member = "c51c91f703d3d4b3696c923cb5fec213e05e75d9215393befac7f2fa6a3904df"
    archive = "ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81"
    brought = fetch_member(tmp_path, "pypi:six==1.17.0", archive, "six-1.17.0/six.py", member)
    assert b"Benjamin Peterson" in brought


def test_a_real_npm_package(tmp_path: Path) -> None:
    answers("npm", "view", "is-number@7.0.0", "version")
    member = "04255e482e181687823a95b207802ddd32e746c65dce4c95a5176fc192735960"
    archive = "7b75c1057198cf97696909a9bee176c9c5e9bcb5b03bf3ecef2f484defadd51e"
    brought = fetch_member(tmp_path, "npm:is-number@7.0.0", archive, "package/index.js", member)
    assert b"is-number" in brought


def test_a_real_debian_package(tmp_path: Path) -> None:
    shown = dict(
        line.split(": ", 1)
        for line in answers("apt-cache", "show", "--no-all-versions", "hostname").splitlines()
        if re.match(r"(Version|SHA256): ", line)
    )
    if "SHA256" not in shown:
        pytest.skip("apt has no list of packages here")
    fetch({"s": [package(f"deb:hostname={shown['Version']}", shown["SHA256"])]}, tmp_path / "data")
    extract(tmp_path / "data/s/file", {"usr/share/doc/hostname/copyright": tmp_path / "copyright"}, "hostname")
    assert b"GNU General Public License" in (tmp_path / "copyright").read_bytes()


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt-get here")
def test_a_debian_package_where_apt_has_no_lists_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(f'Dir::State::lists "{tmp_path / "lists"}";\n', encoding="utf-8")
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    fetch(load_project(ROOT / "params.yaml").sources, tmp_path / "data", ["novels"])
    assert (tmp_path / "data/novels/Rdata.rdb").stat().st_size > 1_000_000
