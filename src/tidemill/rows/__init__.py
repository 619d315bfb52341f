"""From raw rows to clean splits: copies are dropped first, then the hash of its content assigns each row to a split."""
