"""Notifications: off until switched on, then a line to a webhook for a failure and for a proposal."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.dvc_repositories import DvcRepository
from tests.e2e.test_flow import ask

ROOT = Path(__file__).parents[2]
TIDEMILL = str(Path(sys.executable).with_name("tidemill"))


class Receiver(HTTPServer):
    """A webhook on this machine that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.texts: list[str] = []

    def wait_for(self, number: int) -> list[str]:
        """What came until there are so many, and for a second after."""
        end = time.monotonic() + 60
        while len(self.texts) < number and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(1)
        return self.texts


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.texts.append(json.loads(body)["text"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def propose(repository: DvcRepository) -> None:
    proposal = "from flows.events import PROPOSED, emit; emit(PROPOSED, 'digits', {'version': '5'})"
    subprocess.run([sys.executable, "-c", proposal], cwd=ROOT, env=repository.environment, check=True)


def test_a_failure_and_a_proposal_are_told(repository: DvcRepository, prefect_url: str, receiver: Receiver) -> None:
    address = f"http://127.0.0.1:{receiver.server_port}/secret"
    for _ in range(2):  # switched on twice, it tells once
        repository.command(TIDEMILL, "notify", address)
    time.sleep(3)  # the server reads its automations anew every two seconds
    assert address not in json.dumps(ask(prefect_url, "block_documents/filter"))
    repository.stages(bad={"cmd": "echo wet corn >&2; exit 1", "outs": ["never"]})
    assert repository.flow().returncode == 1
    propose(repository)
    failed, proposed = sorted(receiver.wait_for(2))
    assert failed.startswith("prefect.flow-run.Failed: ") and "1 of 1 stages failed: bad" in failed
    assert proposed.splitlines() == ["tidemill.proposed: digits", "version: 5"]


MAKE_BLOCKS = """
import sys
from prefect.blocks.notifications import MattermostWebhook
from prefect.blocks.system import Secret
MattermostWebhook(hostname="127.0.0.1", port=int(sys.argv[1]), token="abcdefghijklmnopqrstuvwx").save("team")
Secret(value="hush").save("hush")
"""


def test_a_block_of_prefects_own_tells(repository: DvcRepository, prefect_url: str, receiver: Receiver) -> None:
    make = [sys.executable, "-c", MAKE_BLOCKS, str(receiver.server_port)]
    subprocess.run(make, env=repository.environment, check=True)
    for wrong, told in {
        "slack-webhook/none": "no block 'slack-webhook/none'",
        "secret/hush": "notifies nobody",
    }.items():
        asked = [TIDEMILL, "notify", wrong]
        refused = subprocess.run(asked, env=repository.environment, capture_output=True, text=True)
        assert refused.returncode == 1 and "Traceback" not in refused.stderr
        assert refused.stderr.startswith("error: ") and told in refused.stderr.splitlines()[0]
    repository.command(TIDEMILL, "notify", "mattermost-webhook/team")
    time.sleep(3)
    propose(repository)
    [told] = receiver.wait_for(1)
    assert "tidemill.proposed: digits" in told and "version: 5" in told
