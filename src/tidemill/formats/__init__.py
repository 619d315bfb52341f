"""How raw files become rows: one module for each format, named as `source.format` in `params.yaml`."""
