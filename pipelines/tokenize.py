"""Ingested tables → packed shards, the tokenizer, and the spec: what a model must know of its input."""

from pathlib import Path
from typing import Any

from pipelines import artifacts, stage
from tidemill.core.files import finished_folder, write_json
from tidemill.core.params import read_block, read_system
from tidemill.core.spec import Spec
from tidemill.core.tables import SPLITS, blocks
from tidemill.tasks.common import encoding
from tidemill.tasks.common.encoding import EncodingPart
from tidemill.tokens.shards import Shards, ShardWriter


@stage
def main(name: str) -> None:
    """Write `train|valid|test/`, `tokens.json` and, where the task has one, `tokenizer.json`."""
    system = read_system(name)
    task = encoding.of(system["task"])
    params = read_block(system, name, "tokenize", task.Tokenize)
    tables = {split: artifacts(name, "ingest") / f"{split}.parquet" for split in SPLITS}
    tokenizer = task.fit(blocks(tables["train"]), params)
    spec = task.specify(blocks(tables["train"]), params, tokenizer)
    with finished_folder(artifacts(name, "tokenize")) as folder:
        splits = {split: _pack(task, tables[split], tokenizer, spec, folder / split) for split in SPLITS}
        if tokenizer is not None:
            tokenizer.save(str(folder / "tokenizer.json"))
        document = {"task": system["task"], **spec, "tokenize": params.model_dump(), "splits": splits}
        write_json(folder / "tokens.json", document)
    print(f"{name}: " + ", ".join(f"{split} {packed['rows']} rows" for split, packed in splits.items()))


def _pack(task: EncodingPart, table: Path, tokenizer: Any, spec: Spec, folder: Path) -> dict[str, Any]:
    with ShardWriter(folder) as writer:
        for rows in blocks(table):
            writer.append(task.encode(rows, tokenizer, spec))
    shards = Shards(folder)
    values = {column: header["values"] for column, header in shards.headers.items()}
    return {"rows": len(shards), "values": values, "sha256": shards.sha256}


if __name__ == "__main__":
    main()
