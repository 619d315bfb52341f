"""Whether this machine's environment is that of the lock files, or the one that a version was made in."""

import platform
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from tidemill.registry import lineage

LOCKS = ("uv", "torch", "base")
"""Lock files whose packages are installed on every machine."""


def differences(then: dict[str, Any], locks: Path) -> list[str]:
    """Return what differs between the environment of a lineage and this one, as far as it may affect the weights.

    Args:
        then: the whole lineage.
        locks: the folder of locked requirements at its commit.
    """
    recorded = then["environment"]
    found = [
        f"{name} {here} (then {recorded[key]})"
        for key, name, here in (
            ("python", "Python", platform.python_version()),
            ("machine", "processor architecture", platform.machine()),
        )
        if recorded[key] not in (None, here)
    ]
    found += [
        f"{name} {here or 'missing'} (then {version})"
        for name, version in recorded["packages"].items()
        if (here := _installed(name)) != version
    ]
    found += [line for line in unlike_lock(locks) if line.split()[0] not in recorded["packages"]]
    if then["device"] not in (None, "cpu") and shutil.which("nvidia-smi") is None:
        found.append(f"device cpu (then {then['device']})")
    return found


def notes(then: dict[str, Any]) -> list[str]:
    """Return what else differs: it should not change a weight, and explains it where one did."""
    here, recorded = lineage.environment(), then["environment"]
    return [
        f"{name} {here[name]} (then {recorded[name]})"
        for name in ("platform", "processor")
        if recorded[name] not in (None, here[name])
    ]


def unlike_lock(folder: Path) -> list[str]:
    """Return each package that is not installed as the lock files of a folder pin it."""
    found = [_difference(name, pin, bool(marker)) for name, pin, marker in pins(folder)]
    return [difference for difference in found if difference]


def pins(folder: Path) -> list[tuple[str, str, str]]:
    """Return name, version and start of the marker of each package that the lock files of a folder pin."""
    paths = [folder / f"{lock}.lock" for lock in LOCKS]
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths if path.exists())
    return re.findall(r"^([\w.-]+)==(\S+)( ;)?", text, re.MULTILINE)


def _difference(name: str, pin: str, has_marker: bool) -> str:
    """Describe what is wrong with an installed package; one with a marker may be meant for another platform."""
    found = _installed(name) or ""
    if found.split("+")[0] == pin or (has_marker and not found):
        return ""
    return f"{name} {found or 'missing'} (locked {pin})"


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
