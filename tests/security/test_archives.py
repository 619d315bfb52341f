"""Hostile and damaged archives: nothing is written outside, nothing half, and one line says why."""

import io
import shutil
import stat
import subprocess
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tidemill.core.errors import TidemillError
from tidemill.sources.fetch import fetch
from tidemill.sources.params import Download, Member

PIN = sha256(b"content").hexdigest()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_CACHE", str(tmp_path / "cache"))


def take(archive: Path, member: str) -> None:
    """Fetch one member of an archive whose own hash is right, as `taken`."""
    pin = sha256(archive.read_bytes()).hexdigest()
    members = {"taken": Member(path=member, sha256=PIN)}
    wanted = Download.model_validate({"from": [str(archive)], "sha256": pin, "licence": "MIT", "members": members})
    fetch({"source": [wanted]}, archive.parent / "data")


def refused(archive: Path, member: str, why: str) -> None:
    before = files_under(archive.parent)
    with pytest.raises(TidemillError, match=why) as caught:
        take(archive, member)
    assert "\n" not in str(caught.value)
    assert files_under(archive.parent) == before, "nothing is left"


def files_under(folder: Path) -> set[Path]:
    return {p for p in folder.rglob("*") if p.is_file() and p.parent.name != "locks"}


def tar_of(path: Path, *entries: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("path", ["../x", "/abs", "a/../../x"])
def test_members_that_lead_out_are_refused(path: str, tmp_path: Path) -> None:
    refused(tar_of(tmp_path / "t.tgz", (entry(path), b"content")), path, "leads out of the archive")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(path, b"content")
    refused(tmp_path / "z.zip", path, "leads out of the archive")


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/hostname"),
        (tarfile.SYMTYPE, "real"),
        (tarfile.LNKTYPE, "real"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
        (tarfile.DIRTYPE, ""),
    ],
    ids=["symlink out", "symlink within", "hardlink", "fifo", "device", "folder"],
)
def test_links_and_devices_are_refused(kind: bytes, link: str, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "t.tgz", (entry("real"), b"content"), (entry("wanted", kind, link), b""))
    refused(archive, "wanted", "link, folder or device")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("wanted")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(info, "/etc/hostname")
    refused(tmp_path / "z.zip", "wanted", "link, folder or device")


def test_a_folder_that_is_a_link_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tar_of(
        tmp_path / "t.tgz", (entry("dir", tarfile.SYMTYPE, str(outside)), b""), (entry("dir/wanted"), b"content")
    )
    take(archive, "dir/wanted")
    assert (tmp_path / "data/source/taken").read_bytes() == b"content"
    assert list(outside.iterdir()) == []


def test_hostile_members_beside_the_wanted_one_do_nothing(tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "t.tgz",
        (entry("../escaped"), b"x"),
        (entry("/tmp/tidemill-escaped"), b"x"),
        (entry("link", tarfile.SYMTYPE, "/"), b""),
        (entry("wanted"), b"content"),
    )
    take(archive, "wanted")
    assert [p.name for p in (tmp_path / "data").rglob("*")] == ["source", "taken"]
    assert not (tmp_path / "escaped").exists() and not Path("/tmp/tidemill-escaped").exists()


def test_a_member_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused(tar_of(tmp_path / "t.tgz", (entry("a"), b"content")), "b", "no member 'b'")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_truncated_tar_is_told(mode: str, share: float, tmp_path: Path) -> None:
    filler = bytes(range(256)) * 4096
    whole = tar_of(tmp_path / "whole", (entry("filler"), filler), (entry("wanted"), b"content"), mode=mode).read_bytes()
    (tmp_path / "whole").unlink()
    (tmp_path / "t").write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path / "t", "wanted", "truncated|no member")


def test_a_truncated_zip_and_no_archive_at_all_are_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("wanted", b"content")
    (tmp_path / "z.zip").write_bytes((tmp_path / "z.zip").read_bytes()[:-20])
    refused(tmp_path / "z.zip", "wanted", "truncated, damaged or of an unknown kind")
    (tmp_path / "page.html").write_bytes(b"<html>Not found</html>")
    refused(tmp_path / "page.html", "wanted", "truncated, damaged or of an unknown kind")


def test_a_damaged_zip_member_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("wanted", b"content")
    (tmp_path / "z.zip").write_bytes((tmp_path / "z.zip").read_bytes().replace(b"content", b"CONTENT"))
    refused(tmp_path / "z.zip", "wanted", "truncated, damaged")


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb here to build a Debian package with")
def test_a_debian_package_gives_its_files_and_a_broken_one_is_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: N <n@localhost>\nDescription: d\n"
    )
    (root / "usr/share").mkdir(parents=True)
    (root / "usr/share/wanted").write_bytes(b"content")
    (root / "usr/share/link").symlink_to("/etc/hostname")
    subprocess.run(["dpkg-deb", "-Zxz", "-b", str(root), str(tmp_path / "p.deb")], check=True, capture_output=True)
    refused(tmp_path / "p.deb", "usr/share/link", "link, folder or device")
    take(tmp_path / "p.deb", "usr/share/wanted")
    assert (tmp_path / "data/source/taken").read_bytes() == b"content"
    shutil.rmtree(tmp_path / "data")
    whole = (tmp_path / "p.deb").read_bytes()
    for length in (50, 100, len(whole) - 150):
        (tmp_path / "p.deb").write_bytes(whole[:length])
        refused(tmp_path / "p.deb", "usr/share/wanted", "truncated")
