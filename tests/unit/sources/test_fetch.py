"""Fetching over a real connection: pins, resuming, mirrors, the cache, several processes."""

import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.unit.sources.range_server import Site
from tidemill.core.errors import TidemillError
from tidemill.sources.fetch import fetch
from tidemill.sources.params import Download, Member

CONTENT = random.Random(0).randbytes(3_000_000)
PIN = sha256(CONTENT).hexdigest()
WRONG = "0" * 64

pytestmark = pytest.mark.usefixtures("cache")


def a_file(*addresses: str, pin: str = PIN, name: str | None = "file") -> Download:
    return Download.model_validate({"from": list(addresses), "sha256": pin, "licence": "MIT", "name": name})


def an_archive(address: str, archive: bytes, members: dict[str, tuple[str, bytes]]) -> Download:
    pins = {name: Member(path=path, sha256=sha256(content).hexdigest()) for name, (path, content) in members.items()}
    return Download.model_validate(
        {"from": [address], "sha256": sha256(archive).hexdigest(), "licence": "MIT", "members": pins}
    )


def tarred(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def kept_in(folder: Path) -> list[str]:
    """Files in a folder, without the empty lock files of the cache."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.parent.name != "locks")


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_only_the_named_members_arrive_and_a_second_fetch_asks_nobody(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tarred({"p/a": b"one", "p/b": b"two", "p/c": b"three"})
    site.files["/p.tgz"] = archive
    sources = {
        "letters": [an_archive(site.address + "/p.tgz", archive, {"a": ("p/a", b"one"), "sub/c": ("p/c", b"three")})]
    }
    fetch(sources, tmp_path / "data")
    assert (tmp_path / "data/letters/a").read_bytes() == b"one"
    assert (tmp_path / "data/letters/sub/c").read_bytes() == b"three"
    assert kept_in(tmp_path / "data") == ["letters/a", "letters/sub/c"]
    fetch(sources, tmp_path / "data")
    assert len(site.sent) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("letters: fetched, 2 files")
    assert second.startswith("letters: already there, 2 files")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_tar_compression_is_read(mode: str, tmp_path: Path) -> None:
    archive = tarred({"./p/a": CONTENT}, mode)
    (tmp_path / "p").write_bytes(archive)
    fetch({"s": [an_archive(str(tmp_path / "p"), archive, {"a": ("p/a", CONTENT)})]}, tmp_path / "data")
    assert (tmp_path / "data/s/a").read_bytes() == CONTENT


def test_a_wheel_is_read(tmp_path: Path) -> None:
    archive = zipped({"p/other": b"no", "p/a": CONTENT})
    (tmp_path / "p.whl").write_bytes(archive)
    fetch({"s": [an_archive(str(tmp_path / "p.whl"), archive, {"a": ("p/a", CONTENT)})]}, tmp_path / "data")
    assert kept_in(tmp_path / "data") == ["s/a"]


def test_a_damaged_file_and_only_its_source_is_brought_again(site: Site, tmp_path: Path) -> None:
    site.files |= {"/one": b"1", "/two": b"2"}
    sources = {
        "one": [a_file(site.address + "/one", pin=sha256(b"1").hexdigest())],
        "two": [a_file(site.address + "/two", pin=sha256(b"2").hexdigest(), name=None)],
    }
    fetch(sources, tmp_path / "data", ["two"])
    assert kept_in(tmp_path / "data") == ["two/two"]
    fetch(sources, tmp_path / "data")
    (tmp_path / "data/one/file").write_bytes(b"x")
    (tmp_path / "data/one/own notes").write_bytes(b"mine")
    fetch(sources, tmp_path / "data")
    assert (tmp_path / "data/one/file").read_bytes() == b"1"
    assert (tmp_path / "data/one/own notes").read_bytes() == b"mine"


def test_a_wrong_hash_names_both_and_leaves_nothing(site: Site, tmp_path: Path, cache: Path) -> None:
    site.files["/file"] = CONTENT
    other = site.address + "/other"
    with pytest.raises(TidemillError) as caught:
        fetch({"s": [a_file(site.address + "/file", other, pin=WRONG)]}, tmp_path / "data")
    assert WRONG in str(caught.value) and PIN in str(caught.value) and "\n" not in str(caught.value)
    assert kept_in(cache) == [] and not (tmp_path / "data").exists()
    assert len(site.sent) == 1, "it stops there: no further mirror is asked"


def test_a_wrong_member_names_both_hashes_and_leaves_no_file_of_the_source(tmp_path: Path) -> None:
    archive = tarred({"a": b"one", "b": b"two"})
    (tmp_path / "p.tgz").write_bytes(archive)
    wanted = an_archive(str(tmp_path / "p.tgz"), archive, {"a": ("a", b"one"), "b": ("b", b"not two")})
    with pytest.raises(TidemillError) as caught:
        fetch({"s": [wanted]}, tmp_path / "data")
    assert sha256(b"two").hexdigest() in str(caught.value) and sha256(b"not two").hexdigest() in str(caught.value)
    assert kept_in(tmp_path / "data") == []


def test_a_broken_connection_is_taken_up_where_it_broke(site: Site, tmp_path: Path) -> None:
    site.files["/file"] = CONTENT
    site.cuts = [1_200_000, 800_000]
    fetch({"s": [a_file(site.address + "/file")]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == CONTENT
    assert site.sent == [1_200_000, 800_000, 1_000_000]


def test_a_later_fetch_and_another_mirror_go_on_where_the_first_stopped(
    site: Site, tmp_path: Path, cache: Path
) -> None:
    site.files |= {"/file": CONTENT, "/mirror": CONTENT}
    site.cuts = [1_000_000, 0]
    with pytest.raises(TidemillError, match="no address provides its file"):
        fetch({"s": [a_file(site.address + "/file")]}, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    fetch({"s": [a_file(site.address + "/mirror")]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == CONTENT
    assert sum(site.sent) == len(CONTENT)
    assert kept_in(cache) == [PIN]


def test_a_server_that_cannot_resume_starts_over(site: Site, tmp_path: Path) -> None:
    site.files["/file"] = CONTENT
    site.cuts = [1_000_000]
    site.ranges = False
    fetch({"s": [a_file(site.address + "/file")]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"other bytes", CONTENT, CONTENT + b"more"], ids=["wrong", "complete", "too long"])
def test_what_an_earlier_download_left_is_verified(left: bytes, site: Site, tmp_path: Path, cache: Path) -> None:
    site.files["/file"] = CONTENT
    cache.mkdir()
    (cache / f"{PIN}.part").write_bytes(left)
    fetch({"s": [a_file(site.address + "/file")]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == CONTENT
    assert kept_in(cache) == [PIN]


def test_mirrors_are_tried_in_order(site: Site, tmp_path: Path) -> None:
    site.files["/third"] = CONTENT
    nobody = "http://127.0.0.1:9/file"
    fetch({"s": [a_file(site.address + "/gone", nobody, site.address + "/third")]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == CONTENT


def test_when_no_mirror_helps_one_line_names_each_reason(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    addresses = [
        "npm:is-number@7.0.0",
        "deb:hostname=1",
        "npm:--registry@1.0.0",
        site.address + "/gone",
        "http://127.0.0.1:9/file",
        "nosuch://bucket/file",
        str(tmp_path / "nowhere"),
    ]
    with pytest.raises(TidemillError) as caught:
        fetch({"s": [a_file(*addresses)]}, tmp_path / "data")
    line = str(caught.value)
    assert "\n" not in line and all(f"{address}: " in line for address in addresses)
    for reason in ("npm is not installed", "apt-get is not installed", "not a package address", "404", "no such file"):
        assert reason in line


def test_a_local_file_is_checked_and_not_cached(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "mine").write_bytes(CONTENT)
    fetch({"s": [a_file(str(tmp_path / "mine"), name=None)]}, tmp_path / "data")
    assert (tmp_path / "data/s/mine").read_bytes() == CONTENT
    assert kept_in(cache) == []
    with pytest.raises(TidemillError, match=f"pinned sha256 {WRONG}, found {PIN}"):
        fetch({"t": [a_file(str(tmp_path / "mine"), pin=WRONG)]}, tmp_path / "data")


def test_any_filesystem_of_fsspec_is_an_address(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/bucket/file", CONTENT)
    fetch({"s": [a_file("memory://bucket/file")]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == CONTENT


def test_s3_is_resumed_and_a_missing_key_is_reported(
    site: Site, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": site.address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    site.files["/bucket/file"] = CONTENT
    cache.mkdir()
    (cache / f"{PIN}.part").write_bytes(CONTENT[:2_000_000])
    fetch({"s": [a_file("s3://bucket/file")]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == CONTENT
    assert sum(site.sent) == 1_000_000
    with pytest.raises(TidemillError, match="s3://bucket/gone: FileNotFoundError"):
        fetch({"t": [a_file("s3://bucket/gone", pin=WRONG)]}, tmp_path / "data")


def test_projects_share_the_cache_and_a_damaged_copy_in_it_is_replaced(site: Site, tmp_path: Path, cache: Path) -> None:
    site.files["/file"] = CONTENT
    sources = {"s": [a_file(site.address + "/file")]}
    fetch(sources, tmp_path / "one")
    fetch(sources, tmp_path / "two")
    assert len(site.sent) == 1
    (cache / PIN).write_bytes(b"bit rot")
    fetch(sources, tmp_path / "three")
    assert len(site.sent) == 2
    assert (tmp_path / "two/s/file").read_bytes() == (tmp_path / "three/s/file").read_bytes() == CONTENT


FETCH_IN_A_PROCESS = """
import resource, sys
from pathlib import Path
from tidemill.sources.params import Download
from tidemill.sources.fetch import fetch
from tidemill.core.errors import TidemillError
address, pin, data, largest = sys.argv[1:]
if largest != "any":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), int(largest)))
try:
    fetch({"s": [Download.model_validate({"from": [address], "sha256": pin, "licence": "MIT", "name": "file"})]}, Path(data))
except TidemillError as error:
    sys.exit(str(error))
"""


def in_a_process(address: str, data: Path, largest: str = "any") -> "subprocess.Popen[str]":
    """Start a fetch of its own; it can write files of at most `largest` bytes."""
    command = [sys.executable, "-c", FETCH_IN_A_PROCESS, address, PIN, str(data), largest]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_at_once_download_once(site: Site, tmp_path: Path) -> None:
    site.files["/file"] = CONTENT
    site.released.clear()
    first = in_a_process(site.address + "/file", tmp_path / "one")
    assert site.asked.wait(60)
    second = in_a_process(site.address + "/file", tmp_path / "two")
    assert second.stdout and "waiting" in second.stdout.readline()
    site.released.set()
    complaints = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert first.returncode == second.returncode == 0, complaints
    assert (tmp_path / "one/s/file").read_bytes() == (tmp_path / "two/s/file").read_bytes() == CONTENT
    assert len(site.sent) == 1


def test_a_killed_download_is_taken_up(site: Site, tmp_path: Path, cache: Path) -> None:
    site.files["/file"] = CONTENT
    site.held_after = 2_000_000
    site.released.clear()
    first = in_a_process(site.address + "/file", tmp_path / "data")
    part = cache / f"{PIN}.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 1_900_000)
    first.kill()
    first.communicate()
    on_disk = part.stat().st_size
    site.released.set()
    fetch({"s": [a_file(site.address + "/file")]}, tmp_path / "data")
    assert (tmp_path / "data/s/file").read_bytes() == CONTENT
    assert len(CONTENT) - on_disk in site.sent
    assert kept_in(cache) == [PIN]


def test_a_file_that_cannot_be_written_is_one_clear_line(site: Site, tmp_path: Path, cache: Path) -> None:
    site.files["/file"] = CONTENT
    process = in_a_process(site.address + "/file", tmp_path / "data", largest="1000000")
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(complaint.splitlines()) == 1 and "TIDEMILL_CACHE" in complaint and "too large" in complaint
    assert kept_in(cache) == [] and not (tmp_path / "data").exists()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="only root can mount a small disk")
def test_a_full_disk_is_one_clear_line(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False, capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"no small disk can be mounted here: {mount.stderr.strip()}")
    try:
        monkeypatch.setenv("TIDEMILL_CACHE", str(disk))
        site.files["/file"] = CONTENT
        with pytest.raises(TidemillError, match="No space left on device") as caught:
            fetch({"s": [a_file(site.address + "/file")]}, tmp_path / "data")
        assert "\n" not in str(caught.value)
        assert kept_in(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", ".", ""])
def test_a_name_outside_its_folder_is_refused_before_any_download(name: str, site: Site, tmp_path: Path) -> None:
    archive = tarred({"a": b"one"})
    site.files["/p.tgz"] = archive
    with pytest.raises(TidemillError, match="not a file name inside data/s"):
        fetch({"s": [an_archive(site.address + "/p.tgz", archive, {name: ("a", b"one")})]}, tmp_path / "data")
    assert not site.sent


def test_two_files_of_one_name_and_an_unknown_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TidemillError, match="two files are named 'file'"):
        fetch({"s": [a_file("a"), a_file("b")]}, tmp_path / "data")
    with pytest.raises(TidemillError, match=r"no source 'mnits' in params\.yaml; there are: mnist"):
        fetch({"mnist": [a_file("a")]}, tmp_path / "data", ["mnits"])


def test_a_fetch_on_a_new_clone_leaves_dvc_clean_and_never_moves_the_pin(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.files |= {"/file": CONTENT, "/other": b"other"}
    project, clone = tmp_path / "project", tmp_path / "clone"
    project.mkdir()
    monkeypatch.chdir(project)
    dvc("init", "--no-scm", "--quiet")
    fetch({"s": [a_file(site.address + "/file")]}, Path("data"))
    dvc("add", "--quiet", "data")
    shutil.copytree(project, clone, ignore=shutil.ignore_patterns("data", "cache", "tmp"))
    monkeypatch.chdir(clone)
    pin = Path("data.dvc").read_bytes()
    fetch({"s": [a_file(site.address + "/file")]}, Path("data"))
    assert json.loads(dvc("status", "--json", "data.dvc")) == {}
    other = a_file(site.address + "/other", pin=sha256(b"other").hexdigest(), name="other")
    fetch({"s": [a_file(site.address + "/file")], "t": [other]}, Path("data"))
    assert "data differs from what data.dvc pins" in capsys.readouterr().out
    assert Path("data.dvc").read_bytes() == pin


def dvc(*arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_file_without_a_hash_is_kept_until_it_is_refreshed(site: Site, tmp_path: Path) -> None:
    sources = {
        "news": [
            Download.model_validate(
                {"from": [site.address + "/news"], "sha256": None, "licence": "MIT", "name": "news"}
            )
        ]
    }
    news = tmp_path / "data/news/news"
    for content, refresh, expected in ((b"one", False, b"one"), (b"two", False, b"one"), (b"two", True, b"two")):
        site.files["/news"] = content
        fetch(sources, tmp_path / "data", refresh=refresh)
        assert news.read_bytes() == expected
    del site.files["/news"]
    with pytest.raises(TidemillError, match=r"news: no address provides its file: .*404"):
        fetch(sources, tmp_path / "data", refresh=True)
    assert kept_in(tmp_path / "data") == ["news/news"]
    assert news.read_bytes() == b"two"


def test_what_is_taken_out_of_an_archive_needs_its_hash(tmp_path: Path) -> None:
    archive = an_archive("file.zip", b"", {"one": ("one", b"1")}).model_copy(update={"sha256": None})
    with pytest.raises(TidemillError, match="needs its sha256"):
        fetch({"one": [archive]}, tmp_path)
