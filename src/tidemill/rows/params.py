"""Params of the ingest stage."""

from typing import Annotated

from pydantic import Field

from tidemill.core.params import Fraction, Params


class Ingest(Params):
    """How rows are cleaned and split."""

    valid: Fraction = 0.1
    """Share of the rows for validation, unless the source has validation rows of its own."""
    test: Fraction = 0.1
    """Share of the rows for testing, unless the source has test rows of its own."""
    near_duplicates: Annotated[float, Field(gt=0, le=1)] | None = 0.9
    """Similarity from which a row counts as a copy of another one; null drops exact copies only. Of texts, the share of their
    three-character shingles that both have; of pictures, the share of the 256 bits of their difference hashes that agree,
    so that 1.0 means equal hashes."""
