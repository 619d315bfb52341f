"""A PostgreSQL server of the tests' own: a new cluster on a free port of the loopback, gone when they end."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2


@dataclass(frozen=True)
class PostgreSQL:
    """A running server."""

    address: str
    """`postgresql://…`, without the name of a database."""

    def new_database(self, name: str) -> str:
        """Make an empty database; return its address."""
        with closing(psycopg2.connect(f"{self.address}/postgres")) as connection:
            connection.autocommit = True
            connection.cursor().execute(f'CREATE DATABASE "{name}"')
        return f"{self.address}/{name}"


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs, if it is installed."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@contextmanager
def running_postgresql(binaries: Path) -> Iterator[PostgreSQL]:
    """Start a server on a new cluster. It refuses to run as root, so then it runs as the user of its package."""
    owner = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    password = secrets.token_hex(16)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        (secret := Path(folder) / "password").write_text(password)
        for path in (folder, secret):
            shutil.chown(path, owner)

        def run(program: str, *arguments: str) -> None:
            command = [str(binaries / program), "--pgdata", f"{folder}/cluster", *arguments]
            user = owner if os.geteuid() == 0 else None
            done = subprocess.run(command, cwd=folder, user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert done.returncode == 0, done.stdout.decode()

        run("initdb", "--username=tests", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--no-sync")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"
        run("pg_ctl", "start", "--wait", "--silent", f"--log={folder}/log", "-o", settings)
        try:
            yield PostgreSQL(f"postgresql://tests:{password}@127.0.0.1:{port}")
        finally:
            run("pg_ctl", "stop", "--mode=immediate", "--silent")
