"""Params of the ingest stage."""

from typing import Annotated, Literal

from pydantic import Field

from tidemill.core.params import Fraction, Params

Kind = Literal["email", "ip_address", "telephone", "card", "iban", "chinese_identity"]
KINDS: tuple[Kind, ...] = ("email", "ip_address", "telephone", "card", "iban", "chinese_identity")


class PersonalData(Params):
    """What to do with personal data in the texts of a source."""

    action: Literal["stop", "mask", "drop"]
    """`stop` names the rows and ends the stage; `mask` puts a block for each character; `drop` leaves such rows out,
    and masks them among the rejected ones."""
    kinds: Annotated[list[Kind], Field(min_length=1)] = Field(default=list(KINDS))
    """What is looked for: numbers count only if their check digits hold, or if they can be telephone numbers."""
    regions: list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = Field(default=[])
    """Countries (ISO 3166) whose telephone numbers are found without their country's code as well: `[CN, US]`."""


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
    personal_data: PersonalData | None = None
    """null does not look for any."""
