"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

FILE = "A .csv, .tsv, .jsonl or .parquet file, or a folder of pictures."
Input = Annotated[Path, typer.Argument(metavar="FILE", help=FILE)]
