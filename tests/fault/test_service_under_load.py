"""More than a service can do: what is too much is refused at once, the rest gets its turn, and nobody is forgotten."""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.served import LONG, ONE_AT_ONCE, connected, raw_request, registered, seconds_of, sent, served
from tests.unit.serving.test_service import until

SHORT = {"rows": [{"text": "fine"}], "options": {"new_tokens": 1}}
LIMITS = ("waiting=5", "client=3", "seconds=20", "upload=2", "idle=1.5", "connections=20", "new_tokens=100000")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with registered(tmp_path_factory.mktemp("project"), "tales") as folder:
        yield folder


@pytest.fixture(scope="module")
def service(project: Path) -> Iterator[str]:
    arguments = [argument for limit in LIMITS for argument in ("--limit", limit)]
    with served(project, "models:/tales@champion", *arguments, **ONE_AT_ONCE) as (address, _):
        yield address


@pytest.fixture(autouse=True)
def _quiet(service: str) -> Iterator[None]:
    """Leave no request of one test to the next."""
    yield
    until(lambda: httpx.get(f"{service}/health").json()["requests"] == 0)


def asked_from(address: str, service: str, body: dict[str, Any], seconds: float = 30) -> httpx.Response:
    """Ask as a client of this address."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=seconds) as client:
        return client.post(f"{service}/predict", json=body)


def working(service: str, count: int) -> None:
    until(lambda: httpx.get(f"{service}/health").json()["requests"] == count)


def test_what_is_too_much_is_refused_at_once_and_health_answers_meanwhile(service: str) -> None:
    waiting = [sent(service, LONG) for _ in range(3)]
    try:
        working(service, 3)
        start = time.monotonic()
        assert asked_from("127.0.0.1", service, SHORT).status_code == 429  # as many as one client may have
        assert time.monotonic() - start < 2
        with ThreadPoolExecutor(2) as pool:
            others = [pool.submit(asked_from, "127.0.0.2", service, SHORT) for _ in range(2)]
            working(service, 5)
            refused = asked_from("127.0.0.3", service, SHORT)  # as many as all may have
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            with httpx.Client(base_url=service) as client:
                taken = [seconds_of(lambda: client.get("/health").raise_for_status()) for _ in range(30)]
            assert statistics.median(taken) < 0.1, taken
            for connection in waiting:
                connection.close()
            assert [other.result().status_code for other in others] == [200, 200]
    finally:
        for connection in waiting:
            connection.close()


def test_work_ends_when_its_client_is_gone(service: str) -> None:
    for path in ("/predict", "/stream"):
        gone = sent(service, LONG, path)
        working(service, 1)
        time.sleep(0.5)
        gone.close()
        assert seconds_of(lambda: asked_from("127.0.0.1", service, SHORT).raise_for_status()) < 5


def test_one_client_does_not_starve_the_others(service: str) -> None:
    done: list[str] = []
    body = {"rows": [{"text": "fine"}], "options": {"new_tokens": 100, "temperature": 0}}

    def ask(address: str) -> None:
        assert asked_from(address, service, body).status_code == 200
        done.append(address)

    first = sent(service, LONG)
    working(service, 1)
    with ThreadPoolExecutor(3) as pool:
        greedy = [pool.submit(ask, "127.0.0.1") for _ in range(2)]
        working(service, 3)
        modest = pool.submit(ask, "127.0.0.2")
        working(service, 4)
        first.close()
        for one in (*greedy, modest):
            one.result()
    assert done == ["127.0.0.1", "127.0.0.2", "127.0.0.1"]


def test_streams_take_turns_with_requests(service: str) -> None:
    with httpx.stream("POST", f"{service}/stream", json=LONG, timeout=30) as response:
        pieces = response.iter_text()
        assert next(pieces)
        assert asked_from("127.0.0.1", service, SHORT).status_code == 200
        assert next(pieces)


def test_a_request_and_a_stream_that_take_too_long_end(service: str) -> None:
    results: list[Any] = []

    def stream() -> None:
        try:
            with httpx.stream("POST", f"{service}/stream", json=LONG, timeout=60) as response:
                results.append("".join(response.iter_text()))
        except httpx.RemoteProtocolError as error:
            results.append(error)

    beside = threading.Thread(target=stream)
    start = time.monotonic()
    beside.start()
    response = asked_from("127.0.0.1", service, LONG, seconds=60)
    beside.join()
    assert 15 < time.monotonic() - start < 50
    assert (response.status_code, response.json()["detail"]) == (
        503,
        "the request has taken 20 s: ask for less at once",
    )
    [cut] = results
    assert isinstance(cut, httpx.RemoteProtocolError), cut  # nobody may take what came for the whole text


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        raw_request("/predict", b"x" * 100)[:-50],
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
    ids=["silent", "half a head", "half a body", "no body", "silent after a response"],
)
def test_slow_and_silent_connections_are_closed(service: str, begin: bytes) -> None:
    with connected(service, seconds=8) as connection:
        connection.sendall(begin)
        start = time.monotonic()
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass
        assert time.monotonic() - start < 6


def test_bytes_that_drip_do_not_keep_a_connection(service: str) -> None:
    for begin in (b"GET /health HTTP/1.1\r\nX: ", raw_request("/predict", b" " * 100_000)[:200]):
        with connected(service, seconds=0.3) as connection:
            connection.sendall(begin)
            start, over = time.monotonic(), False
            while not over:
                assert time.monotonic() - start < 8
                try:
                    connection.sendall(b" ")
                    over = connection.recv(65536) == b"" or time.monotonic() - start > 8
                except TimeoutError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    over = True


def test_a_response_that_is_not_read_ends(service: str) -> None:
    with sent(service, {"rows": [{"text": "fine"}] * 4, "options": {"new_tokens": 1}}) as connection:
        connection.sendall(raw_request("/predict", b"{}") * 3)  # and nothing is read of all that
        until(lambda: httpx.get(f"{service}/health").json()["requests"] == 0)


def test_one_client_may_not_open_all_connections(service: str) -> None:
    opened = [connected(service) for _ in range(30)]
    try:
        time.sleep(0.5)
        assert asked_from("127.0.0.2", service, SHORT).status_code == 200
        closed = 0
        for connection in opened:
            connection.settimeout(0.05)
            try:
                closed += connection.recv(1) == b""
            except TimeoutError:
                pass
            except ConnectionResetError:
                closed += 1
        assert closed >= 10
    finally:
        for connection in opened:
            connection.close()
