"""Who may ask the service: the token, and pages of other sites."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.served import registered, seconds_of, served
from tests.unit.serving.test_service import TIDEMILL

CHAMPION = "models:/reviews@champion"
TOKEN = "0123456789abcdef-0123456789abcdef"
BODY = {"rows": [{"text": "fine"}]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with registered(tmp_path_factory.mktemp("project"), "reviews") as folder:
        yield folder


@pytest.fixture(scope="module")
def closed(project: Path) -> Iterator[str]:
    """A service on the loopback with a token."""
    with served(project, CHAMPION, TIDEMILL_SERVE_TOKEN=TOKEN) as (address, _):
        yield address


@pytest.fixture(scope="module")
def open_to_all(project: Path) -> Iterator[str]:
    """A service on the loopback without one."""
    with served(project, CHAMPION) as (address, _):
        yield address


def with_token(token: str, scheme: str = "Bearer") -> dict[str, Any]:
    return {"Authorization": f"{scheme} {token}".encode()}


def test_a_token_that_is_set_counts_on_the_loopback_too(closed: str) -> None:
    for method, path in (("GET", "/health"), ("GET", "/comparison"), ("POST", "/predict"), ("POST", "/stream")):
        for headers in (
            {},
            with_token(TOKEN[:-1]),
            with_token(TOKEN + "x"),
            {"Authorization": TOKEN.encode()},
        ):
            response = httpx.request(method, f"{closed}{path}", headers=headers)
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    for scheme in ("Bearer", "bearer"):
        assert httpx.post(f"{closed}/predict", json=BODY, headers=with_token(TOKEN, scheme)).status_code == 200


def test_guesses_are_slowed_and_nobody_else_is(closed: str) -> None:
    assert seconds_of(lambda: httpx.get(f"{closed}/health", headers=with_token("guess"))) > 0.9
    right = seconds_of(lambda: httpx.get(f"{closed}/health", headers=with_token(TOKEN)).raise_for_status())
    assert right < 0.9


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_token_that_could_be_guessed_is_refused(project: Path, host: str) -> None:
    command = [TIDEMILL, "serve", CHAMPION, "--host", host, "--port", "0"]
    done = subprocess.run(
        command, cwd=project, env={**os.environ, "TIDEMILL_SERVE_TOKEN": "letmein"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: TIDEMILL_SERVE_TOKEN has 7 characters and needs 24")
    assert done.stderr.count("\n") == 1 and "letmein" not in done.stderr


def test_the_page_asks_for_the_token(closed: str, browser: Any) -> None:
    page = browser.new_page()
    page.on("dialog", lambda dialog: dialog.accept(TOKEN))
    page.goto(closed)
    page.wait_for_function("document.getElementById('version').textContent === 'reviews/1'")
    page.fill("#text", "good and cheap")
    page.click("button")
    page.wait_for_function("document.getElementById('answer').textContent.includes('sure')")
    page.close()


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"]
)
def test_pages_of_other_sites_are_refused(open_to_all: str, origin: str) -> None:
    for path in ("/predict", "/stream"):
        response = httpx.post(f"{open_to_all}{path}", json=BODY, headers={"Origin": origin})
        assert response.status_code == 403
    assert httpx.get(f"{open_to_all}/health", headers={"Origin": origin}).status_code == 403


def test_its_own_page_is_not(open_to_all: str) -> None:
    port = httpx.URL(open_to_all).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        headers = {"Origin": f"http://{host}", "Host": host}
        assert httpx.post(f"{open_to_all}/predict", json=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "[::ffff:8.8.8.8]"]
)
def test_a_name_that_leads_here_from_elsewhere_is_refused(open_to_all: str, host: str) -> None:
    port = httpx.URL(open_to_all).port
    headers = {"Host": f"{host}:{port}", "Origin": f"http://{host}:{port}"}
    assert httpx.post(f"{open_to_all}/predict", json=BODY, headers=headers).status_code == 400


def test_a_form_of_another_site_cannot_send_json(open_to_all: str) -> None:
    """What a browser sends without asking first is text."""
    response = httpx.post(
        f"{open_to_all}/predict", content=b'{"rows": [{"text": "a"}]}', headers={"Content-Type": "text/plain"}
    )
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("row=5", "no limit 'row'; did you mean 'rows'?"),
        ("rows=0", "--limit rows: Input should be greater than or equal to 1, not 0"),
        ("rows", "is not NAME=VALUE, as in seconds=30"),
    ],
)
def test_a_limit_that_is_none_is_told(project: Path, limit: str, told: str) -> None:
    command = [TIDEMILL, "serve", CHAMPION, "--port", "0", "--limit", limit]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and told in done.stderr and done.stderr.count("\n") == 1


def test_the_params_of_the_system_have_limits(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text("systems:\n  reviews:\n    serve: {rows: 2, characters: 10}\n")
    try:
        with served(project, CHAMPION, "--limit", "characters=20") as (address, _):
            assert "at most 2 items" in httpx.post(f"{address}/predict", json={"rows": BODY["rows"] * 3}).text
            assert httpx.post(f"{address}/predict", json={"rows": [{"text": "a" * 15}]}).status_code == 200
            assert httpx.post(f"{address}/predict", json={"rows": [{"text": "a" * 25}]}).status_code == 422
    finally:
        params.unlink()
