"""How long stages took when they last ran, so that the next run knows what is long before it starts."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from tempfile import NamedTemporaryFile

from flows.dvc_internals import Repo
from flows.graph import Plan, may_change

FILE = Path(".dvc", "tmp", "flow", "durations.json")
"""Below the root of the repository: seconds by address."""


def expected(plan: Plan) -> dict[str, float]:
    """Return the seconds to expect of each stage; 0 of one that will not run.

    A stage that never ran counts as much as the others of its group (`train@…`) on average; where none of these ran
    either, as all that did; where nothing has ever run, as 1, so that stages are counted.
    """
    known = _read(_file())
    changing = set(may_change(plan))
    groups: dict[str, list[float]] = {}
    for address, seconds in known.items():
        groups.setdefault(_group(address), []).append(seconds)
    otherwise = mean(known.values()) if known else 1.0
    return {
        address: known.get(address) or mean(groups.get(_group(address), [otherwise])) if address in changing else 0.0
        for address in plan
    }


def known() -> bool:
    """Whether anything is known of any stage."""
    return bool(_read(_file()))


def remember(seconds: Mapping[str, float]) -> None:
    """Keep how long these stages took, beside what is known of others. The file is replaced as a whole."""
    if not seconds:
        return
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
        json.dump(_read(path) | {address: round(value, 3) for address, value in seconds.items()}, file, indent=1)
    os.replace(file.name, path)


def _file() -> Path:
    return Path(Repo.find_root()) / FILE


def _read(path: Path) -> dict[str, float]:
    """Return what is known; nothing where the file is not there or is not ours: it only speeds things up."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(address): float(seconds) for address, seconds in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _group(address: str) -> str:
    return address.partition("@")[0]
