"""Params of `sources:`: what `tidemill fetch` downloads."""

from typing import Annotated

from pydantic import AfterValidator, Field

from tidemill.core.params import Params, Sha256


def _expression(licence: str) -> str:
    """Return an SPDX licence expression as SPDX writes it."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(licence))
    except InvalidLicenseExpression as error:
        raise ValueError(
            "should be an SPDX expression, as `MIT`, or `LicenseRef-` and a name where SPDX lists none"
        ) from error


Licence = Annotated[str, AfterValidator(_expression)]


class Member(Params):
    """One file extracted from a downloaded archive."""

    path: str
    """Path inside the archive."""
    sha256: Sha256
    """Of the file taken out."""


class Download(Params):
    """One pinned file to download; its addresses are tried in order."""

    from_: list[str] = Field(alias="from", min_length=1)
    """`pypi:name==version`, `npm:name@version`, `deb:name=version`, `models:/name/version/…`, `https://…`, `s3://…` or a
    local path."""
    sha256: Sha256 | None
    """null: the file changes over time; a fetch keeps the copy that is there, a retraining downloads it again."""
    licence: Licence
    """Under which its content may be used, as an SPDX expression: `MIT`, `CC-BY-4.0 OR MIT`; `LicenseRef-` and a name
    where SPDX lists none. It is recorded in the lineage of what is made from it."""
    size: Annotated[int, Field(ge=0)] | None = None
    """Its bytes: a server that sends more is left at once; null allows for 64 GiB."""
    members: dict[str, Member] | None = None
    """Files to extract from the archive, by their new names; null keeps the downloaded file itself."""
    name: str | None = None
    """The new name of the downloaded file, where no members are extracted."""
