"""Ingested tables → packed shards, the tokenizer, and what a model must know of its input."""

from pathlib import Path
from typing import Any

from pipelines import artifacts, stage
from tidemill import tasks
from tidemill.config import load_system
from tidemill.data.splitting import SPLITS
from tidemill.data.tables import blocks
from tidemill.files import finished_folder, write_json
from tidemill.tokens.shards import Shards, ShardWriter


@stage
def main(name: str) -> None:
    """Write `train|valid|test/`, `tokens.json` and, where the task has one, `tokenizer.json`."""
    system = load_system(name)
    task = tasks.load(system.task)
    tables = {split: artifacts(name, "ingest") / f"{split}.parquet" for split in SPLITS}
    tokenizer = task.fit(blocks(tables["train"]), system.tokenize)
    spec = task.specify(blocks(tables["train"]), system.tokenize, tokenizer)
    with finished_folder(artifacts(name, "tokenize")) as folder:
        splits = {split: _pack(task, tables[split], tokenizer, spec, folder / split) for split in SPLITS}
        if tokenizer is not None:
            tokenizer.save(str(folder / "tokenizer.json"))
        write_json(folder / "tokens.json", {"task": system.task, **spec, "splits": splits})
    print(f"{name}: " + ", ".join(f"{split} {facts['rows']} rows" for split, facts in splits.items()))


def _pack(task: tasks.Task, table: Path, tokenizer: Any, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    with ShardWriter(folder) as writer:
        for rows in blocks(table):
            writer.append(task.encode(rows, tokenizer, spec))
    shards = Shards(folder)
    values = {column: header["values"] for column, header in shards.headers.items()}
    return {"rows": len(shards), "values": values, "sha256": shards.sha256}


if __name__ == "__main__":
    main()
