"""A table comes back block by block, as it is, and never lies in memory whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from tidemill.core.tables import BLOCK, blocks


def test_a_table_of_one_row_group_is_streamed(tmp_path: Path) -> None:
    letters = np.random.default_rng(0).integers(0, 2**63, (20 * BLOCK, 256)).astype("<u8")
    table = pd.DataFrame({"text": [row.tobytes() for row in letters]})
    table.to_parquet(tmp_path / "table.parquet")
    before, held, rows = pyarrow.total_allocated_bytes(), [], 0
    for block in blocks(tmp_path / "table.parquet"):
        assert block["text"].tolist() == table["text"][rows : rows + BLOCK].tolist()
        rows += len(block)
        held.append(pyarrow.total_allocated_bytes() - before)
    assert rows == len(table)
    assert max(held) < letters.nbytes / 2
