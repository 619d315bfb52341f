"""The scan for known weaknesses, against a database on the loopback that speaks OSV's protocol."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.projects import ROOT

ADVISORY = {
    "schema_version": "1.0.0",
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "Reading a file runs it.",
    "affected": [
        {
            "package": {"name": "weak", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


@contextmanager
def database(answers: dict[str, Any], failing: int = 200) -> Iterator[str]:
    """Serve advisories by the name of their package; the port makes each one a new database."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = json.dumps(answers.get(asked["package"]["name"], {})).encode()
            self.send_response(failing)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{uuid4().hex}"
        server.shutdown()


def scan(folder: Path, address: str) -> "subprocess.CompletedProcess[str]":
    lock = folder / "base.lock"
    lock.write_text("".join(f"{name}==1.0 --hash=sha256:{'0' * 64}\n" for name in ("sound", "weak")))
    own = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, str(ROOT / "scripts/scan.py"), str(lock)]
    return subprocess.run(command, capture_output=True, text=True, env=own | {"TIDEMILL_ADVISORIES": address})


def test_a_known_weakness_fails(tmp_path: Path) -> None:
    with database({"weak": {"vulns": [ADVISORY]}}) as address:
        done = scan(tmp_path, address)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        "known weakness: weak 1.0: PYSEC-2026-1, fixed in 1.1: Reading a file runs it."
    )
    assert "PYSEC-2026-1" not in done.stderr


def test_packages_without_weaknesses_pass_and_are_not_looked_up_again_that_day(tmp_path: Path) -> None:
    with database({}) as address:
        first = scan(tmp_path, address)
    again = scan(tmp_path, address)  # the database is gone
    assert [(done.returncode, done.stdout) for done in (first, again)] == [(0, ""), (0, "")]


def test_a_database_that_cannot_be_asked_fails_nothing_and_is_said(tmp_path: Path) -> None:
    with database({}) as address:
        pass
    done = scan(tmp_path, address)
    [line] = done.stdout.splitlines()
    assert done.returncode == 0 and line.startswith(f"known weaknesses: not looked up: {address} cannot be asked (")
    with database({}, failing=503) as address:
        done = scan(tmp_path, address)
    [line] = done.stdout.splitlines()
    assert done.returncode == 0 and "did not answer for all packages" in line
