"""DVC's cache and remotes, through its own command."""

import os
import subprocess
import sys
from pathlib import Path

from tidemill.errors import TidemillError

DVC = (sys.executable, "-m", "dvc")


def dvc(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a DVC command to its end, waiting for DVC's lock; how it ended is for the caller to look at."""
    command = [*DVC, "--wait-for-lock", *arguments]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment()
    )


def environment() -> dict[str, str]:
    """The environment of DVC and the stages it starts: this Python first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "DVC_NO_ANALYTICS": "1", "PATH": path}


def share(project: Path, other: Path) -> None:
    """Give another DVC folder the cache, the remotes and the credentials that the project has today.

    They stand in the other's `config.local`, which outdoes what an old commit says of a remote that has moved since.
    """
    settings = dict(line.split("=", 1) for line in _answer("config", "--list", folder=project).splitlines())
    settings["cache.dir"] = _answer("cache", "dir", folder=project).strip()
    lines = [f"['{_section(name)}']\n    {name.rpartition('.')[2]} = {value}" for name, value in settings.items()]
    target = other / ".dvc" / "config.local"
    target.touch(mode=0o600)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def bring(folder: Path, targets: list[str]) -> None:
    """Put outputs that DVC tracks into a folder: from the cache, else from the remote.

    Raises:
        TidemillError: neither has all of their bytes.
    """
    if not targets:
        return
    done = dvc("pull", "--quiet", *targets, folder=folder)
    if done.returncode:
        named = ", ".join(targets)
        if not _answer("remote", "list", folder=folder).strip():
            reason = "no remote is set: `dvc remote add --default NAME ADDRESS`"
        else:
            reason = f"the remote does not give it: {_last_error(done.stderr)}"
        raise TidemillError(f"{named} is not in DVC's cache, and {reason}")


def _answer(*arguments: str, folder: Path) -> str:
    done = dvc(*arguments, folder=folder)
    if done.returncode:
        raise TidemillError(f"dvc {' '.join(arguments)}: {_last_error(done.stderr)}")
    return done.stdout


def _section(name: str) -> str:
    """`remote.local.url` stands in the section `remote "local"`, `core.remote` in `core`."""
    section, *middle = name.split(".")[:-1]
    return f'{section} "{".".join(middle)}"' if middle else section


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no reason given"])[-1]
