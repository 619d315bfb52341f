"""From pinned raw files to clean, split, checked tables: fetching, formats, cleaning, splitting, expectations."""
