"""DVC's cache and remotes, through its own command."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tidemill.core.errors import TidemillError

SITE_CACHE = "DVC_SITE_CACHE_DIR"
DVC = (sys.executable, "-m", "dvc")


def dvc(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a DVC command to its end, waiting for DVC's lock; the caller checks how it ended."""
    command = [*DVC, "--wait-for-lock", *arguments]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment()
    )


def output(*arguments: str, folder: Path) -> str:
    """Return what a DVC command prints.

    Raises:
        TidemillError: the command failed; the last line of its errors is given.
    """
    done = dvc(*arguments, folder=folder)
    if done.returncode:
        raise TidemillError(f"dvc {' '.join(arguments)}: {_last_error(done.stderr)}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of DVC and of the stages it starts: this Python first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, **site_cache(), "DVC_NO_ANALYTICS": "1", "PATH": path}


def site_cache() -> dict[str, str]:
    """Return the setting of a folder for DVC's records that its owner alone can open, unless the user has set another.

    DVC's own default is one folder for all users of the machine, from which it unpickles what any of them wrote.
    """
    import platformdirs

    if SITE_CACHE in os.environ:
        return {}
    folder = platformdirs.user_cache_path("tidemill") / "dvc"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError:
        return {}
    return {SITE_CACHE: str(folder)}


def share(project: Path, other: Path) -> None:
    """Let another DVC folder use the project's cache and its remotes, with the credentials that it has today.

    They are written to the other folder's `config.local`, which overrides what an old commit says of a remote that has
    moved since.
    """
    settings = dict(line.split("=", 1) for line in output("config", "--list", folder=project).splitlines())
    settings["cache.dir"] = str(_cache(project.resolve()))
    sections: dict[str, list[str]] = {}
    for name, value in settings.items():
        sections.setdefault(_section(name), []).append(f"    {name.rpartition('.')[2]} = {value}")
    lines = [line for section, own in sections.items() for line in (f"['{section}']", *own)]
    target = other / ".dvc" / "config.local"
    target.touch(mode=0o600)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def fetch_outputs(folder: Path, targets: list[str]) -> None:
    """Check tracked outputs out in a folder: from the cache, otherwise from the remote.

    Raises:
        TidemillError: neither has all of their bytes.
    """
    if not targets:
        return
    done = dvc("pull", "--quiet", *targets, folder=folder)
    if done.returncode:
        named = ", ".join(targets)
        if not output("remote", "list", folder=folder).strip():
            reason = "no remote is set: `dvc remote add --default NAME ADDRESS`"
        else:
            reason = f"the remote does not provide it: {_last_error(done.stderr)}"
        raise TidemillError(f"{named} is not in DVC's cache, and {reason}")


@contextmanager
def by_hash(digest: str, project: Path) -> Iterator[Path | None]:
    """Open the file of a hash (`md5:…`), from DVC's cache or the default remote; None where neither has it."""
    md5 = digest.rpartition(":")[2]
    place = f"files/md5/{md5[:2]}/{md5[2:]}"
    cached = _cache(project.resolve()) / place
    remote = _remote(project.resolve())
    with TemporaryDirectory() as scratch:
        downloaded = Path(scratch) / md5
        if cached.is_file():
            yield cached
        elif remote and dvc("get-url", f"remote://{remote}/{place}", str(downloaded), folder=project).returncode == 0:
            yield downloaded
        else:
            yield None


@cache
def _cache(project: Path) -> Path:
    return Path(output("cache", "dir", folder=project).strip())


@cache
def _remote(project: Path) -> str:
    """Return the name of the default remote; empty where there is none."""
    return dvc("config", "core.remote", folder=project).stdout.strip()


def _section(name: str) -> str:
    """`remote.local.url` stands in the section `remote "local"`, `core.remote` in `core`."""
    section, *middle = name.split(".")[:-1]
    return f'{section} "{".".join(middle)}"' if middle else section


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no reason given"])[-1]
