"""Texts to packed tokens with GPT-2's byte-pair encoding: the whole way from a table of documents to files.

    python benchmarks/tokenize_text.py --merges data/gpt2/vocab.bpe --megabytes 64 --rounds 3

The ways take turns in one invocation, each in a process of its own, on one core. CPU time is what is compared, since it
says the same on a busy machine; wall time stands beside it. Loading the tokenizer counts, imports do not.

- tidemill: what the tokenize stage does (`bpe`, `ShardWriter`);
- datasets: Hugging Face's `datasets.map` with `tokenizers`, then `group_texts`, as in their examples of language models;
- memmap: `tiktoken` document by document into a numpy memmap, as in small GPT training scripts.

The peers need `pip install datasets tiktoken`. The documents are pieces of the source files of the Python installation that
runs this. The ids of all ways must be the same. All but `datasets` run on four times the texts as well, or what there is
of them, which shows the speed where loading the tokenizer weighs less, and that the memory stays.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
ONE_CORE = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
LENGTH = 1024
LINES = 100
"""Lines of a document."""
Run = dict[str, Any]


def main() -> None:
    """Print a line a way: CPU and wall seconds (median and spread), megabytes a CPU second, memory, ratios to ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--merges", type=Path, default=Path("data/gpt2/vocab.bpe"))
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="*", default=["tidemill", "datasets", "memmap"])
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(timed(arguments.way, arguments.folder, arguments.merges)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        compare(arguments, Path(scratch))


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Let the ways take turns on the same table, then all but the slow one on a larger."""
    print(f"{platform.machine()}, Python {platform.python_version()}, one core", flush=True)
    for times in (1, 4):
        table = folder / str(times)
        with ProcessPoolExecutor(
            1, get_context("spawn")
        ) as apart:  # a process counts its parent's peak memory as its own
            size = apart.submit(write_documents, table, times * arguments.megabytes * 10**6).result()
        ways = [way for way in arguments.ways if times == 1 or way != "datasets"]
        rounds = [{way: run(way, table, arguments.merges) for way in ways} for _ in range(arguments.rounds)]
        print(f"{size / 1e6:.0f} MB:")
        for way in ways:
            show(way, size, [one[way] for one in rounds], [one[ways[0]] for one in rounds])
        if len({one["ids"] for each in rounds for one in each.values()}) > 1:
            raise SystemExit("the ways give different ids")


def show(way: str, size: int, runs: list[Run], ours: list[Run]) -> None:
    """One line of the comparison."""
    parts = [f"{way:10}"]
    for clock in ("cpu", "wall"):
        ratio = statistics.median(one[clock] / base[clock] for one, base in zip(runs, ours, strict=True))
        seconds = [one[clock] for one in runs]
        spread = f"{statistics.median(seconds):6.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        parts.append(f"{clock} {spread} {ratio:5.1f} times ours")
    rate = size / 1e6 / statistics.median(one["cpu"] for one in runs)
    parts.append(f"{rate:6.1f} MB a CPU second, {max(one['megabytes'] for one in runs):5.0f} MB of memory")
    print(", ".join(parts), flush=True)


def run(way: str, folder: Path, merges: Path) -> Run:
    """One way in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder), "--merges", str(merges)]
    done = subprocess.run(command, env=os.environ | ONE_CORE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{way} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def timed(way: str, folder: Path, merges: Path) -> Run:
    """Seconds of the work itself, imports left out for all; the ids' hash; the peak memory of the process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    prepare = {"tidemill": tidemill_way, "datasets": datasets_way, "memmap": memmap_way}[way](folder, merges)
    start, used = time.perf_counter(), time.process_time()
    ids = prepare()
    clocks = {"cpu": time.process_time() - used, "wall": time.perf_counter() - start}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return clocks | {"ids": sha256(ids().tobytes()).hexdigest(), "megabytes": peak}


def tidemill_way(folder: Path, merges: Path):
    from tidemill.core.tables import blocks
    from tidemill.tasks.text_generation import encoding
    from tidemill.tokens import bpe
    from tidemill.tokens.shards import Shards, ShardWriter

    def work():
        tokenizer = bpe.read(merges)
        spec = {"vocabulary": tokenizer.get_vocab_size(), "length": LENGTH, "end": tokenizer.token_to_id(bpe.END)}
        with ShardWriter(folder / "shards") as writer:
            for rows in blocks(folder / "documents.parquet"):
                writer.append(encoding.encode(rows, tokenizer, spec))
        return lambda: Shards(folder / "shards")["tokens"].values.astype("uint32")

    return work


def datasets_way(folder: Path, merges: Path):
    import datasets
    import numpy as np
    from transformers import PreTrainedTokenizerFast

    from tidemill.tokens import bpe

    def work():
        datasets.disable_progress_bars()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe.read(merges), split_special_tokens=True)
        end = tokenizer.convert_tokens_to_ids(bpe.END)

        def encode(batch):
            return {"ids": [[end, *ids] for ids in tokenizer(batch["text"])["input_ids"]]}

        def group_texts(batch):
            joined = [token for ids in batch["ids"] for token in ids]
            return {"ids": [joined[start : start + LENGTH] for start in range(0, len(joined), LENGTH)]}

        table = datasets.Dataset.from_parquet(str(folder / "documents.parquet"), cache_dir=str(folder / "cache"))
        encoded = table.map(encode, batched=True, remove_columns=table.column_names, load_from_cache_file=False)
        grouped = encoded.map(group_texts, batched=True, load_from_cache_file=False)
        return lambda: np.concatenate([np.array(row["ids"], np.uint32) for row in grouped])

    return work


def memmap_way(folder: Path, merges: Path):
    import numpy as np
    import pandas as pd
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks

    def work():
        ranks = data_gym_to_mergeable_bpe_ranks(str(merges), str(merges.with_name("encoder.json")))
        encoder = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"end": len(ranks)})
        documents = [
            [len(ranks), *encoder.encode_ordinary(text)]
            for text in texts(pd.read_parquet(folder / "documents.parquet"))
        ]
        total = sum(len(ids) for ids in documents)
        packed = np.memmap(folder / "tokens.bin", np.uint16, "w+", shape=(total,))
        place = 0
        for ids in documents:
            packed[place : place + len(ids)] = ids
            place += len(ids)
        packed.flush()
        return lambda: packed.astype(np.uint32)

    def texts(table: pd.DataFrame) -> list[str]:
        return table["text"].tolist()

    return work


def write_documents(folder: Path, size: int) -> int:
    """A table of source files, `size` bytes of text at least."""
    import pandas as pd

    folder.mkdir()
    documents, total = [], 0
    for text in sources():
        documents.append(text)
        total += len(text.encode())
        if total >= size:
            break
    pd.DataFrame({"text": documents}).to_parquet(folder / "documents.parquet", index=False)
    return total


def sources() -> Iterator[str]:
    for name in ("stdlib", "purelib"):
        for path in sorted(Path(sysconfig.get_path(name)).rglob("*.py")):
            try:
                text = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            lines = text.splitlines(keepends=True)
            yield from ("".join(lines[start : start + LINES]) for start in range(0, len(lines), LINES))


if __name__ == "__main__":
    main()
