"""Whether this machine's environment is the one that a version was made in."""

import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from tidemill.doctor import unlike_lock
from tidemill.registry import lineage


def differences(then: dict[str, Any], locks: Path) -> list[str]:
    """What differs between the environment of a lineage and this one, as far as it may bear on the weights.

    Args:
        then: the whole lineage.
        locks: the folder of locked requirements at its commit.
    """
    recorded = then["environment"]
    told = [
        f"{name} {here} (then {recorded[key]})"
        for key, name, here in (
            ("python", "Python", platform.python_version()),
            ("machine", "processor architecture", platform.machine()),
        )
        if recorded[key] not in (None, here)
    ]
    told += [
        f"{name} {here or 'missing'} (then {version})"
        for name, version in recorded["packages"].items()
        if (here := _installed(name)) != version
    ]
    told += [line for line in unlike_lock(locks) if line.split()[0] not in recorded["packages"]]
    if then["device"] not in (None, "cpu") and shutil.which("nvidia-smi") is None:
        told.append(f"device cpu (then {then['device']})")
    return told


def notes(then: dict[str, Any]) -> list[str]:
    """What else differs: it should not change a weight, and explains it where one did."""
    here, recorded = lineage.environment(), then["environment"]
    return [
        f"{name} {here[name]} (then {recorded[name]})"
        for name in ("platform", "processor")
        if recorded[name] not in (None, here[name])
    ]


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
