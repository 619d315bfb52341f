"""Ingested tables → packed shards, the tokenizer, and the spec: what a model must know of its input."""

from pipelines import artifacts, stage
from tidemill.core.files import finished_folder
from tidemill.core.params import read_block, read_system
from tidemill.core.tables import SPLITS
from tidemill.tasks.common import encoding


@stage
def main(name: str) -> None:
    """Write `train|valid|test/`, `tokens.json` and, where the task has one, `tokenizer.json`."""
    system = read_system(name)
    task: str = system["task"]
    params = read_block(system, name, "tokenize", encoding.of(task).Tokenize)
    tables = {split: artifacts(name, "ingest") / f"{split}.parquet" for split in SPLITS}
    with finished_folder(artifacts(name, "tokenize")) as folder:
        spec = encoding.write_tokens(task, params, tables, folder)
    print(f"{name}: " + ", ".join(f"{split} {packed['rows']} rows" for split, packed in spec["splits"].items()))


if __name__ == "__main__":
    main()
