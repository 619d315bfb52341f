"""A registered version over HTTP: `tidemill serve` beside `mlflow models serve`, with the same requests.

    python benchmarks/serve.py --rounds 3        # in a project in which `make run` has registered sentiment

Both run at the same time, each in one process on this machine; one client sends to them in turn, one row a request and 64
rows a request, as fast as responses come. The predictions of both have to be the same.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pandas as pd
from timing import show, with_first_on_path

from tidemill.tracking.store import store_uri

TIDEMILL, MLFLOW = (str(Path(sys.executable).with_name(name)) for name in ("tidemill", "mlflow"))
Predict = Callable[[list[dict[str, str]]], list[str]]


def main() -> None:
    """Print milliseconds a request, and ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models:/sentiment@challenger")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200)
    arguments = parser.parse_args()
    name = arguments.model.split("/")[1].split("@")[0]
    texts = pd.read_parquet(Path("artifacts") / name / "ingest" / "test.parquet")["text"].head(1000)
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(timeout=120))
        ours = stack.enter_context(tidemill(arguments.model, client))
        theirs = stack.enter_context(mlflow(arguments.model, client))
        for rows in (1, 64):
            requests = [
                [{"text": text} for text in texts.sample(rows, random_state=number)]
                for number in range(arguments.requests)
            ]
            found: dict[str, list[float]] = {"tidemill serve": [], "mlflow models serve": []}
            for _ in range(arguments.rounds):
                predictions = []
                for way, predict in zip(found, (ours, theirs), strict=True):
                    start = time.perf_counter()
                    predictions.append([predict(request) for request in requests])
                    found[way].append(1000 * (time.perf_counter() - start) / len(requests))
                if predictions[0] != predictions[1]:
                    raise SystemExit("the predictions differ")
            for way, values in found.items():
                show(f"{way}, {rows} rows, ms", values)
            first, second = (sorted(values)[len(values) // 2] for values in found.values())
            print(f"{'':36} {second / first:.2f} times as fast")


@contextmanager
def tidemill(model: str, client: httpx.Client) -> Iterator[Predict]:
    """Our service."""
    command = [TIDEMILL, "serve", model, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            address = process.stdout.readline().strip() if process.stdout else ""

            def predict(rows: list[dict[str, str]]) -> list[str]:
                response = client.post(f"{address}/predict", json={"rows": rows}).raise_for_status()
                return [row["prediction"] for row in response.json()["answers"]]

            yield predict
        finally:
            process.terminate()


@contextmanager
def mlflow(model: str, client: httpx.Client) -> Iterator[Predict]:
    """MLflow's own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [MLFLOW, "models", "serve", "--model-uri", model, "--env-manager", "local", "--host", "127.0.0.1"]
    environment = with_first_on_path(Path(MLFLOW).parent) | {
        "MLFLOW_TRACKING_URI": store_uri(),
        "MLFLOW_MODELS_WORKERS": "1",
    }
    with subprocess.Popen(
        [*command, "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            while not _answers(f"{address}/ping"):
                if process.poll() is not None:
                    raise SystemExit(f"{' '.join(command)} ended")
                time.sleep(0.5)

            def predict(rows: list[dict[str, str]]) -> list[str]:
                response = client.post(f"{address}/invocations", json={"dataframe_records": rows}).raise_for_status()
                return [row["prediction"] for row in response.json()["predictions"]]

            yield predict
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
