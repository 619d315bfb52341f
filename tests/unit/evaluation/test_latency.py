"""The latency of single rows."""

import time

import pandas as pd

from tidemill.evaluation.latency import EXAMPLES, latency


class Sleeper:
    """Takes as many milliseconds for a row as its text is long."""

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        assert len(rows) == 1
        time.sleep(len(rows["text"].iloc[0]) / 1000)
        return rows


def test_the_slow_rows_are_named() -> None:
    texts = ["x"] * 30 + ["x" * 100]
    rows = pd.DataFrame({"id": [f"id{number}" for number in range(31)], "text": texts})
    found = latency(Sleeper(), rows, seed=0)
    assert found["examples"] == 31
    assert found["slowest"][0]["id"] == "id30"
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["slowest"][0]["ms"]


def test_a_large_table_is_sampled() -> None:
    rows = pd.DataFrame({"id": [str(number) for number in range(1000)], "text": ""})
    assert latency(Sleeper(), rows, seed=0)["examples"] == EXAMPLES
