"""Where the code of a version runs: in bubblewrap, with no network and one folder that it can write to, or unconfined."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tidemill.core.errors import TidemillError

PROGRAM = "bwrap"
DEVICES = ("nvidia*", "dri", "kfd")
"""GPUs, under `/dev`; a sandbox has no other device than those that hold no data."""
SCRATCH = Path(".tidemill/sandbox")
"""In the folder, for what is otherwise written to the user's caches and to `/tmp`."""


class Wanted(StrEnum):
    """Which sandbox somebody asks for."""

    AUTO = "auto"
    BWRAP = "bwrap"
    NONE = "none"


@dataclass(frozen=True)
class Sandbox:
    """How to run a command of a version."""

    said: str
    """What is to be said of it."""
    confined: bool

    def command(self, command: Sequence[str], folder: Path) -> list[str]:
        """Return the command as it is to be run, with a folder in which it may write."""
        return [*_confined(folder), *command] if self.confined else list(command)

    def environment(self, folder: Path) -> Mapping[str, str]:
        """Return variables that keep caches and temporary files in that folder."""
        if not self.confined:
            return {}
        scratch = (folder / SCRATCH).resolve()
        scratch.mkdir(parents=True, exist_ok=True)
        named = ("TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR")
        return dict.fromkeys(named, str(scratch))


def choose(wanted: Wanted) -> Sandbox:
    """Return the sandbox that is asked for, or for `auto` the one that works here.

    Raises:
        TidemillError: bubblewrap is asked for, and does not work here.
    """
    if wanted == Wanted.NONE:
        return Sandbox("without a sandbox: it can read, write and send what you can", confined=False)
    reason = _obstacle()
    if reason is None:
        return Sandbox("in bubblewrap, without a network, with no other folder to write to", confined=True)
    if wanted == Wanted.BWRAP:
        raise TidemillError(f"--sandbox bwrap: {reason}")
    return Sandbox(f"without a sandbox, as {reason}: it can read, write and send what you can", confined=False)


def _obstacle() -> str | None:
    """Return why bubblewrap does not work here: whether the kernel lets it shows only when it runs."""
    if shutil.which(PROGRAM) is None:
        return f"{PROGRAM} is not installed (Debian's package bubblewrap)"
    done = subprocess.run([*_confined(Path()), "true"], capture_output=True, text=True, check=False)
    return f"{PROGRAM} cannot run here ({done.stderr.strip() or done.returncode})" if done.returncode else None


def _confined(folder: Path) -> list[str]:
    """Return bubblewrap's command line: everything can be read, the folder alone is written to, nothing is reachable."""
    place = str(folder.resolve())
    devices = [str(path) for pattern in DEVICES for path in sorted(Path("/dev").glob(pattern))]
    return [
        *(PROGRAM, "--die-with-parent", "--new-session", "--unshare-all"),
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *(part for device in devices for part in ("--dev-bind-try", device, device)),
        *("--bind", place, place, "--chdir", place),
    ]
