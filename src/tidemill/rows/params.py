"""Params of the ingest stage and of cross-validation."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tidemill.core.params import PARAMS_FILE, Fraction, Name, Params, Sha256, checked, read_yaml

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
    forgotten: Sha256 | None = None
    """The hash of `forgotten/<system>.txt`, the ids of rows that are left out; `tidemill forget` writes both."""


class CrossValidation(Params):
    """Which systems are trained once more on the folds of their training rows; `folds/dvc.yaml` has the stages."""

    systems: list[Name] = Field(default=[])
    """Names of the systems; none does nothing."""
    folds: list[int] = Field(default=[1, 2, 3, 4, 5], min_length=2)
    """The folds by number, `[1, 2, 3, 4, 5]` for five: a stage each, of each system."""

    near_copies: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Similarity from which rows share a fold where `ingest.near_duplicates` is null and has kept near copies; it is
    measured as there."""

    @field_validator("folds")
    @classmethod
    def _counted(cls, folds: list[int]) -> list[int]:
        if folds != list(range(1, len(folds) + 1)):
            raise ValueError("folds are numbered from 1 up, e.g. [1, 2, 3, 4, 5]")
        return folds


def read_cross_validation() -> CrossValidation:
    """Read the block `cross_validation` of `params.yaml`.

    Raises:
        TidemillError: it is missing, or a param is unknown, missing or of a wrong type.
    """
    return checked(CrossValidation, read_yaml(PARAMS_FILE).get("cross_validation"), "cross_validation")
