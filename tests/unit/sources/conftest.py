"""A web server to fetch from, and a download cache of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.sources.range_server import Site, running_site


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the download cache, not made yet."""
    monkeypatch.setenv("TIDEMILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
