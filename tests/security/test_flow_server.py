"""Attacks on Prefect's server: by pages of other sites, by other host names, and by runs that ask the worker for commands.

The server and the worker are those of `make deploy`, and the temporary server that of `tidemill run`.
"""

import base64
import http.client
import json
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.dvc_repositories import DvcRepository, quiet_environment

ROOT = Path(__file__).parents[2]
NewRepository = Callable[[str], DvcRepository]
SHELL = "prefect.deployments.steps.run_shell_script"
ELSEWHERE = "http://evil.example"
PAGES = {
    "a page of another site": {"Origin": ELSEWHERE},
    "a page without an origin": {"Origin": "null"},
    "a page that gave its name this address": {"Host": "evil.example"},
    "a page on another port": {"Origin": "http://127.0.0.1:1"},
    "a form": {"Origin": ELSEWHERE, "Content-Type": "text/plain"},
}
"""Headers by which a page shows. Its script may also send JSON without saying so: no preflight asks the server first."""
REFUSED = {400, 401, 403}


class Server:
    """Requests to a Prefect server, as whoever they are sent by."""

    def __init__(self, port: int, password: str = "") -> None:
        self.port, self.password = port, password
        self._csrf: dict[str, str] = {}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Return the status and the body of the response; nothing is sent by itself but the host's name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        content = None if body is None else json.dumps(body).encode()
        connection.putrequest(method, f"/api/{path}", skip_host=True)
        sent = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(content or b"")), **headers}
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(content)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text.startswith((b"{", b"[", b'"')) else text

    def signed(self) -> dict[str, str]:
        """Return the headers of somebody who knows the password."""
        access = {"Authorization": f"Basic {base64.b64encode(self.password.encode()).decode()}"}
        if not self._csrf:
            status, token = self.ask("GET", "csrf-token?client=test", **access)
            assert status == 200, token
            self._csrf = {"Prefect-Csrf-Token": token["token"], "Prefect-Csrf-Client": "test"}
        return {**access, **self._csrf, "Content-Type": "application/json"}

    def own(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask as somebody who knows the password."""
        return self.ask(method, path, body, **self.signed())


class Deployed(DvcRepository):
    """A project brought up by the command behind `make deploy`, with its own servers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, quiet_environment(folder.parent))
        for name in ("flows", "scripts"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "prefect.yaml", folder)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.stages(one={"cmd": "echo x > end", "outs": ["end"]})
        port = free_port()
        ports = {
            "PREFECT_PORT": str(port),
            "MLFLOW_PORT": str(free_port()),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["scripts/deploy.sh"], cwd=folder, env=self.environment | ports, stdout=log, stderr=log
            )
        try:
            self.until(lambda: "A worker waits" in self.read("log"))
        except BaseException:
            self.end()
            raise
        self.password = self.read(".tidemill/prefect-password")
        self.server = Server(port, self.password)
        self.until(lambda: self.server.own("POST", "work_pools/tidemill/workers/filter", {})[1])

    def until(self, happens: Callable[[], Any], seconds: float = 500) -> Any:
        end = time.monotonic() + seconds
        while not (found := happens()):
            assert self.process.poll() is None and time.monotonic() < end, self.read("log")
            time.sleep(0.3)
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()

    def deployment(self, name: str = "train/train") -> dict[str, Any]:
        status, found = self.server.own("GET", f"deployments/name/{name}")
        assert status == 200, found
        return dict(found)

    def final_state(self, run: dict[str, Any]) -> dict[str, Any]:
        """Wait for the end of a run."""

        def state() -> dict[str, Any] | None:
            _, found = self.server.own("GET", f"flow_runs/{run['id']}")
            kind = found["state"]["type"]
            return found["state"] if kind in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        return dict(self.until(state))

    def run(self, deployment: str, **asked: Any) -> dict[str, Any]:
        """Start a run of a deployment and return its final state."""
        status, run = self.server.own("POST", f"deployments/{deployment}/create_flow_run", asked)
        assert status == 201, run
        return self.final_state(run)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    made = Deployed(tmp_path_factory.mktemp("deployed") / "project")
    yield made
    made.end()


def command(folder: Path) -> str:
    """A command that leaves a trace."""
    return f"touch {folder / 'attacked'}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_makes_no_deployment_with_a_command(deployed: Deployed, page: str) -> None:
    shell = {"name": "evil", "flow_id": deployed.deployment()["flow_id"], "work_pool_name": "tidemill"}
    shell["pull_steps"] = [{SHELL: {"script": command(deployed.folder)}}]
    status, text = deployed.server.ask("POST", "deployments/", shell, **PAGES[page])
    assert status in REFUSED, text
    assert deployed.server.own("GET", "deployments/name/train/evil")[0] == 404


@pytest.mark.parametrize("page", PAGES)
def test_a_page_starts_no_run(deployed: Deployed, page: str) -> None:
    _, before = deployed.server.own("POST", "flow_runs/count", {})
    path = f"deployments/{deployed.deployment()['id']}/create_flow_run"
    for body in ({"job_variables": {"command": command(deployed.folder)}}, {}):
        status, text = deployed.server.ask("POST", path, body, **PAGES[page])
        assert status in REFUSED, text
    assert deployed.server.own("POST", "flow_runs/count", {})[1] == before


@pytest.mark.parametrize("page", PAGES)
def test_a_page_reads_nothing(deployed: Deployed, page: str) -> None:
    status, text = deployed.server.ask("POST", "flow_runs/filter", {}, **PAGES[page])
    assert status in REFUSED, text


@pytest.mark.parametrize("page", [one for one in PAGES if one != "a form"])
def test_the_password_does_not_help_a_page(deployed: Deployed, page: str) -> None:
    """As where a person has it in the browser."""
    status, text = deployed.server.ask("GET", "flows/count", **{**deployed.server.signed(), **PAGES[page]})
    assert status in REFUSED - {401}, text


@pytest.mark.parametrize("path", ["events/in", "events/out", "logs/out"])
def test_a_page_opens_no_socket(deployed: Deployed, path: str) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "prefect"}
    assert deployed.server.ask("GET", path, **upgrade, Origin=ELSEWHERE)[0] == 403
    assert deployed.server.ask("GET", path, **upgrade)[0] == 101  # which asks for the password by its first message


def test_nobody_gets_in_without_the_password(deployed: Deployed) -> None:
    for headers in ({}, {"Authorization": "Basic " + base64.b64encode(b"tidemill:guess").decode()}):
        status, _ = deployed.server.ask("POST", "flows/filter", {}, **headers)
        assert status in {401, 403}
        assert deployed.server.ask("GET", "flows/count", **headers)[0] in {401, 405}
    access = {name: value for name, value in deployed.server.signed().items() if "Csrf" not in name}
    assert deployed.server.ask("POST", "flows/filter", {}, **access)[0] == 403  # nor without Prefect's own token
    assert deployed.server.own("POST", "flows/filter", {})[0] == 200


def test_the_password_is_its_owners_and_is_not_printed(deployed: Deployed) -> None:
    path = deployed.folder / ".tidemill/prefect-password"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for log in [deployed.folder / "log", *deployed.folder.glob(".tidemill/*.log")]:
        assert deployed.password not in log.read_text()
    arguments = [" ".join(one.cmdline()) for one in psutil.Process(deployed.process.pid).children(recursive=True)]
    assert arguments and not any(deployed.password in line for line in arguments)  # which all users of a machine see


def test_the_page_asks_for_the_password(deployed: Deployed, browser: Any) -> None:
    page = browser.new_page()
    page.goto(f"http://localhost:{deployed.server.port}/deployments")
    field = page.get_by_role("textbox").first
    field.wait_for(timeout=120_000)
    field.fill(deployed.password)
    page.get_by_role("button", name="Login").click()
    page.get_by_text("train").first.wait_for(timeout=120_000)
    page.close()


@pytest.mark.parametrize("variable", ["command", "working_dir"])
def test_the_server_takes_no_such_variable(deployed: Deployed, variable: str) -> None:
    path = f"deployments/{deployed.deployment()['id']}/create_flow_run"
    status, text = deployed.server.own("POST", path, {"job_variables": {variable: command(deployed.folder)}})
    assert status == 422, text


def test_the_worker_takes_no_command_but_its_own(deployed: Deployed) -> None:
    """By somebody who knows the password: the pool's template is open to all variables first."""
    _, pool = deployed.server.own("GET", "work_pools/tidemill")
    variables = {
        "command": {"type": "string", "default": command(deployed.folder)},
        "env": {"type": "object"},
        "working_dir": {"type": "string"},
    }
    opened = {
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in variables},
        "variables": {"type": "object", "properties": variables},
    }
    assert deployed.server.own("PATCH", "work_pools/tidemill", {"base_job_template": opened})[0] == 204
    own = deployed.deployment()
    try:
        for asked in ({"command": command(deployed.folder)}, {"env": {"BASH_ENV": "x"}}, {"env.BASH_ENV": "x"}):
            state = deployed.run(own["id"], job_variables=asked)
            assert (state["type"], "refused: the run asks for" in state["message"]) == ("CRASHED", True), state
        for change, said in (
            ({"pull_steps": [{SHELL: {"script": command(deployed.folder)}}]}, "has steps of its own"),
            ({"entrypoint": "evil.py:flow"}, "has no deployment other of evil.py:flow"),
        ):
            body = {"name": "train" if "pull_steps" in change else "other", "flow_id": own["flow_id"], **change}
            status, made = deployed.server.own(
                "POST", "deployments/", {"work_pool_name": "tidemill", "entrypoint": own["entrypoint"], **body}
            )
            assert status in (200, 201), made
            state = deployed.run(made["id"])
            assert (state["type"], said in state["message"]) == ("CRASHED", True), state
        as_it_was = {name: own[name] for name in ("name", "flow_id", "entrypoint", "pull_steps", "job_variables")}
        assert deployed.server.own("POST", "deployments/", {"work_pool_name": "tidemill", **as_it_was})[0] in (200, 201)
        state = deployed.run(own["id"], parameters={"commit": None})  # the template's command is not taken either
        assert state["type"] == "COMPLETED", state
        assert deployed.read("end") == "x\n"
    finally:
        template = pool["base_job_template"]
        deployed.server.own("PATCH", "work_pools/tidemill", {"base_job_template": template})
    assert not (deployed.folder / "attacked").exists()


def test_the_temporary_server_answers_its_own_run_alone(new_repository: NewRepository) -> None:
    repository = new_repository("repository")
    wait = "env > environment; touch started; while [ ! -e go ]; do sleep 0.1; done; echo x > end"
    repository.stages(waits={"cmd": wait, "outs": ["end"]})
    with repository.start_flow_under_prefect() as flow:
        try:
            answers = answers_of_its_server(repository, flow)
        finally:
            repository.write("go", "")  # which its stage waits for
        said, _ = flow.communicate()
    assert flow.returncode == 0, said
    assert set(answers.values()) <= REFUSED, answers
    assert "PREFECT_API_AUTH_STRING" not in repository.read("environment")  # which stages need not know


def answers_of_its_server(repository: DvcRepository, flow: "subprocess.Popen[str]") -> dict[str, int]:
    """The status that the flow's own server gives to each page, and to somebody without a password."""
    while not (repository.folder / "started").exists():
        assert flow.poll() is None
        time.sleep(0.1)
    arguments = next(
        one.cmdline() for one in psutil.Process(flow.pid).children() if "uvicorn" in " ".join(one.cmdline())
    )
    server = Server(int(arguments[arguments.index("--port") + 1]))
    asked = {**PAGES, "": {}}
    return {name: server.ask("POST", "flow_runs/filter", {}, **headers)[0] for name, headers in asked.items()}


def test_a_wrong_password_is_one_line(new_repository: NewRepository, deployed: Deployed) -> None:
    repository = new_repository("repository")
    repository.stages(one={"cmd": "echo x > end", "outs": ["end"]})
    run = repository.flow(PREFECT_API_URL=f"http://127.0.0.1:{deployed.server.port}/api", PREFECT_API_AUTH_STRING="x")
    assert run.returncode == 1
    assert "error: Prefect's server asks for another password: set PREFECT_API_AUTH_STRING" in run.stdout
    assert "Traceback" not in run.stdout
