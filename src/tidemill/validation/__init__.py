"""Expectations of the ingested tables, checked by Great Expectations."""
