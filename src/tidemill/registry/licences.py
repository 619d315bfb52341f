"""What the data and weights of a version were downloaded from, and under which licences."""

from pathlib import Path
from typing import Any

from tidemill.core.params import PARAMS_FILE, flattened, read_yaml

DATA = Path("data")
"""Where `tidemill fetch` puts each source, by its name."""
ABSENT = "not recorded"


def sources(params: dict[str, Any], file: Path = PARAMS_FILE) -> dict[str, list[dict[str, Any]]]:
    """Return what of `sources:` the params of a system name, as it stands there, by its folder.

    No stage depends on `sources:`: what is recorded is what stands there when the version is made.
    """
    if not file.exists():
        return {}
    declared = {DATA / name: downloads for name, downloads in (read_yaml(file).get("sources") or {}).items()}
    named = [Path(value) for value in flattened(params).values() if isinstance(value, str)]
    return {
        folder.as_posix(): downloads
        for folder, downloads in declared.items()
        if any(path.is_relative_to(folder) for path in named)
    }


def by_path(lineage: dict[str, Any]) -> dict[str, str]:
    """Return the licence of each source of a version; of raw data that no source names, that none is recorded."""
    found = {path: expression(downloads) for path, downloads in lineage["sources"].items()}
    raw = lineage["params"].get("source", {}).get("path")
    known = raw is None or any(Path(raw).is_relative_to(path) for path in found)
    return found if known else {raw: ABSENT} | found


def expression(downloads: list[dict[str, Any]]) -> str:
    """Return the licences of all files of a source as one SPDX expression."""
    named = list(dict.fromkeys(one.get("licence") or ABSENT for one in downloads))
    return named[0] if len(named) == 1 else " AND ".join(f"({one})" if " " in one else one for one in named)


def with_section(card: str, lineage: dict[str, Any]) -> str:
    """Return a model card that says under which licences the model's data and first weights are."""
    rows = [f"| `{path}` | {licence} |" for path, licence in by_path(lineage).items()]
    return "\n".join(
        [card.rstrip("\n"), "", "## Licences of its sources", "", "| source | licence |", "| --- | --- |", *rows, ""]
    )
