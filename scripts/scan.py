"""Look up the pinned packages in a database of known weaknesses; exit code 1 if one has any.

The database is OSV's, or the one that TIDEMILL_ADVISORIES names (OSV's protocol). Where it cannot be asked, one line says
so and nothing fails. An answer counts for a day, as long as the pins stay the same.
"""

import json
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
DATABASE = "https://api.osv.dev/v1/query"
ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern Tidemill: their id, and why."""
SECONDS = 5
"""For one answer; a database that takes longer cannot be asked."""
A_DAY = 24 * 3600


def main(locks: list[Path]) -> int:
    """Scan, and print what was found in a line each."""
    database = os.environ.get("TIDEMILL_ADVISORIES", DATABASE)
    pins = sha256(b"".join(path.read_bytes() for path in locks) + f"{database}{ACCEPTED}".encode()).hexdigest()
    known = ROOT / ".tidemill" / "scans" / pins
    if known.exists() and time.time() - known.stat().st_mtime < A_DAY:
        return 0
    if (reason := unreachable(database)) is not None:
        print(f"known weaknesses: not looked up: {database} cannot be asked ({reason})")
        return 0
    done = audit(locks, database)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        print(f"known weaknesses: not looked up: {database} did not answer for all packages ({last})")
        return 0
    weak = [(one, found) for one in dependencies for found in one.get("vulns", [])]
    for one, found in weak:
        fixed = ", ".join(found["fix_versions"]) or "no version"
        print(
            f"known weakness: {one['name']} {one['version']}: {found['id']}, fixed in {fixed}: {found['description']}"
        )
    if weak:
        print(
            "raise the pin in pyproject.toml and run `make lock`, or say in ACCEPTED of scripts/scan.py why it is none"
        )
        return 1
    known.parent.mkdir(parents=True, exist_ok=True)
    known.touch()
    return 0


def unreachable(database: str) -> str | None:
    """Return why a database cannot be asked, None where anything answers."""
    try:
        with urlopen(database, timeout=SECONDS):
            return None
    except HTTPError as error:
        # It wants a POST, and says so. A proxy that keeps the network away answers as well, in other words.
        return None if error.code in (400, 404, 405, 501) else f"it answers {error.code} {error.reason}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def audit(locks: list[Path], database: str) -> "subprocess.CompletedProcess[str]":
    """Run pip-audit on lock files as they are: nothing is resolved or installed."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", str(SECONDS), "--vulnerability-service", "osv"]
    command += ["--osv-url", database, *(part for one in ACCEPTED for part in ("--ignore-vuln", one))]
    command += [part for lock in locks for part in ("--requirement", str(lock))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main([Path(one) for one in sys.argv[1:]] or sorted((ROOT / "requirements").glob("*.lock"))))
