"""Hostile requests to the service that a user starts: one line says what is wrong, and the next request is answered."""

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.served import registered, served
from tests.unit.registry.candidates import picture

PICTURE = base64.b64encode(picture(1, 200)).decode()
GOOD: dict[str, dict[str, Any]] = {"reviews": {"text": "fine"}, "bars": {"image": PICTURE}, "tales": {"text": "fine"}}
LIMITED = {
    "rows": 5,
    "bytes": 100_000,
    "values": 5000,
    "keys": 10,
    "characters": 1000,
    "pixels": 100_000,
    "new_tokens": 100,
    "stop": 3,
    "stop_characters": 20,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with registered(tmp_path_factory.mktemp("project"), "reviews", "bars", "tales") as folder:
        yield folder


@pytest.fixture(scope="module")
def services(project: Path) -> Iterator[dict[str, httpx.Client]]:
    """A client of a service for each model."""
    limits = [argument for name, value in LIMITED.items() for argument in ("--limit", f"{name}={value}")]
    with (
        served(project, "models:/reviews@champion", *limits) as (reviews, _),
        served(project, "models:/bars@champion", *limits) as (bars, _),
        served(project, "models:/tales@champion", *limits) as (tales, _),
    ):
        addresses = {"reviews": reviews, "bars": bars, "tales": tales}
        yield {name: httpx.Client(base_url=address, timeout=60) for name, address in addresses.items()}


def refused(response: httpx.Response, status: int = 422) -> str:
    """What a response says is wrong, in one line."""
    assert response.status_code == status, response.text
    detail = response.json()["detail"]
    assert isinstance(detail, str) and "\n" not in detail and len(detail) < 500
    return detail


def asked(client: httpx.Client, model: str, path: str = "/predict", **options: Any) -> httpx.Response:
    return client.post(path, json={"rows": [GOOD[model]], "options": options})


@pytest.mark.parametrize(
    ("model", "rows", "told"),
    [
        ("reviews", [{"text": "a"}] * 6, "at most 5 items"),
        ("reviews", [{"text": "a", **{f"k{number}": 1 for number in range(20)}}], "`keys` is 10"),
        (
            "reviews",
            [{"text": "a", f"k{number}": 1, f"l{number}": 1, f"m{number}": 1} for number in range(5)],
            "`keys`",
        ),
        ("reviews", [{"text": "a" * 2000}], "`characters` is 1,000"),
        ("reviews", [{"text": "a" * 90_000, "note": "b"}], "`characters`"),
        ("reviews", [{"text": "a", "note": [[]] * 4000}], "`values` is 5,000"),
        ("tales", [{"text": "a"}] * 4, "has 128 tokens to generate; the limit `new_tokens` is 100"),
    ],
)
def test_a_request_may_not_be_larger_than_its_limits(
    services: dict[str, httpx.Client], model: str, rows: list[dict[str, Any]], told: str
) -> None:
    assert told in refused(services[model].post("/predict", json={"rows": rows}))


@pytest.mark.parametrize("path", ["/predict", "/stream"])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"new_tokens": 101}, "`new_tokens` is 100"),
        ({"stop": ["a", "b", "c", "d"], "new_tokens": 1}, "`stop` is 3"),
        ({"stop": ["a" * 30], "new_tokens": 1}, "`stop_characters` is 20"),
        ({"seed": 10**30}, "the option 'seed'"),
        ({"seed": -(10**30)}, "the option 'seed'"),
        ({"top_k": 10**30}, "the option 'top_k'"),
        ({"temperature": 1e-320}, "the option 'temperature'"),
        ({"temperature": 1e-30}, "the option 'temperature'"),
        ({"top_p": 1e-320}, "the option 'top_p'"),
        ({"top_p": 1e-12}, "the option 'top_p'"),
        ({"repetition_penalty": 1e-320}, "the option 'repetition_penalty'"),
        ({"repetition_penalty": 1e300}, "the option 'repetition_penalty'"),
        ({"temperature": True}, "the option 'temperature'"),
        ({"stop": ["a", 1]}, "the option 'stop.1'"),
    ],
)
def test_options_beyond_what_a_network_can_take_are_refused(
    services: dict[str, httpx.Client], path: str, options: dict[str, Any], told: str
) -> None:
    assert told in refused(asked(services["tales"], "tales", path, **options))


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.01), ("top_p", 0.001), ("repetition_penalty", 0.01)])
def test_the_least_options_are_answered(services: dict[str, httpx.Client], name: str, value: float) -> None:
    for seed in (-(2**63), 2**64 - 1):
        assert asked(services["tales"], "tales", **{name: value}, seed=seed, new_tokens=5).status_code == 200


@pytest.mark.parametrize("value", [True, 5, 5.5, [], {}, ["a"], 10**40])
@pytest.mark.parametrize("model", ["reviews", "tales"])
def test_what_is_no_text_is_refused(services: dict[str, httpx.Client], model: str, value: Any) -> None:
    rows = [GOOD[model], {"text": value}]
    assert "rows.1.text: this is no text" in refused(services[model].post("/predict", json={"rows": rows}))


@pytest.mark.parametrize(
    "value",
    [[[-1]], [[300]], [[255.5]], [[10**30]], True, 5, {}, [], [[]], [["a"]], [[1, 2], [3]], [[None]], [[[[1]]]]],
)
def test_what_is_no_picture_is_refused(services: dict[str, httpx.Client], value: Any) -> None:
    rows = [GOOD["bars"], {"image": value}]
    assert "rows.1.image: not a picture" in refused(services["bars"].post("/predict", json={"rows": rows}))


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": [{"image": [[NaN]]}]}',
        b'{"rows": [{"image": [[Infinity, 1]]}]}',
        b'{"rows": [{"image": [[1e999]]}]}',
        b'{"rows": [{"image": [[-Infinity]]}], "options": {}}',
        b'{"rows": [{"image": "\\ud800"}]}',
        b'{"rows": [{"image": "", "note": "\\udfff"}]}',
        b'{"rows": [{"image": "", "\\ud800": 1}]}',
        b'{"rows": [{"image": "", "note": 1e999}]}',
        b'{"rows": [{"image": "", "note": {"deep": [NaN]}}]}',
        b'{"rows": [{"image": ' + b"[" * 4000 + b"]}]}",
        b'{"rows": [{"image": ' + b"9" * 5000 + b"}]}",
        b'{"rows": [{"image": "\xff"}]}',
        b"[" * 4900,
        b"",
        b"null",
        b"[]",
        b'"rows"',
        b'{"rows": null}',
        b'{"rows": [null]}',
        b'{"rows": [[]]}',
        b'{"rows": {"image": ""}}',
        b'{"rows": [{"image": ""}], "options": []}',
    ],
)
def test_what_is_no_request_is_refused_in_one_line(services: dict[str, httpx.Client], body: bytes) -> None:
    response = services["bars"].post("/predict", content=body, headers={"Content-Type": "application/json"})
    refused(response)
    assert asked(services["bars"], "bars").status_code == 200


def test_a_body_that_is_too_long_has_no_length_or_is_no_json(services: dict[str, httpx.Client]) -> None:
    client, json_type = services["reviews"], {"Content-Type": "application/json"}
    refused(client.post("/predict", content=b" " * 100_001, headers=json_type), 413)
    refused(client.post("/predict", content=iter([b"{}"]), headers=json_type), 411)
    refused(client.post("/predict", content=b'{"rows": [{"text": "a"}]}', headers={"Content-Type": "text/plain"}), 415)


def encoded(name: str, size: tuple[int, int] = (8, 8)) -> str:
    stream = io.BytesIO()
    Image.new("L", size).save(stream, name)
    return base64.b64encode(stream.getvalue()).decode()


def bomb(side: int) -> str:
    """A PNG whose header declares a square of this side, and that holds nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def test_pixels_are_counted_before_anything_is_decoded(services: dict[str, httpx.Client]) -> None:
    client = services["bars"]
    assert "`pixels` is 100,000" in refused(client.post("/predict", json={"rows": [{"image": bomb(1000)}]}))
    assert "`pixels`" in refused(client.post("/predict", json={"rows": [{"image": encoded("PNG", (200, 200))}] * 3}))
    assert asked(client, "bars").status_code == 200


def test_a_picture_in_a_format_that_runs_a_program_is_not_opened(services: dict[str, httpx.Client]) -> None:
    rows = [{"image": encoded(name)} for name in ("EPS", "PPM", "TGA", "PCX")] + [GOOD["bars"]]
    answers = services["bars"].post("/predict", json={"rows": rows}).json()["answers"]
    assert [answer["reason"] is None for answer in answers] == [False] * 4 + [True]
    for answer in answers[:4]:
        assert "in none of the formats PNG, JPEG" in answer["reason"] and "0x" not in answer["reason"]


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([PICTURE, PICTURE[:40], "data:image/png;base64,", "\ud800", "\0", "1e999", "a" * 5000]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["text", "image", "id", "row", "reason", "prediction", "label", "", "0"]) | st.text(max_size=5)
OPTIONS = st.sampled_from(
    ["new_tokens", "temperature", "top_k", "top_p", "repetition_penalty", "seed", "stop", "cached"]
)
REQUESTS = st.fixed_dictionaries(
    {"rows": st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=4) | VALUES},
    optional={"options": st.dictionaries(OPTIONS | st.text(max_size=5), VALUES, max_size=3) | VALUES},
)


@pytest.mark.parametrize("path", ["/predict", "/stream"])
@pytest.mark.parametrize("model", list(GOOD))
def test_any_json_is_answered_or_refused(services: dict[str, httpx.Client], model: str, path: str) -> None:
    client = services[model]

    @given(body=REQUESTS | VALUES)
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def check(body: Any) -> None:
        content = json.dumps(body).encode()
        response = client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 200 or 400 <= response.status_code < 500, response.text
        if response.status_code == 200 and path == "/predict":
            json.loads(response.content, parse_constant=pytest.fail)

    check()
    assert asked(client, model).status_code == 200
    health = client.get("/health").json()
    assert (health["status"], health["troubles"]) == ("ok", [])
