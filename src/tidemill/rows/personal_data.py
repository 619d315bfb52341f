"""Personal data in texts: addresses of e-mail and of machines, numbers of telephones, cards, accounts and persons.

A number counts if it can be one: its check digits hold, or a telephone company could have given it out.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.rows.params import Kind, PersonalData

OURS = ("row", "label", "labels", "split", "reason")
"""Columns that are no content."""
MASK = "█"
"""For each masked character, so that the places of others in the text stay the same."""
ROWS_NAMED = 10
NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width characters of ASCII, as Chinese texts have them, to narrow ones."""
NOT_INSIDE, NOT_GOING_ON = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
"""Not in the middle of a longer word or number; Chinese characters may stand on both sides."""
EMAIL = re.compile(r"[A-Za-z0-9][\w.%+-]*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}", re.ASCII)
IP_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*)(?![\w:]|\.\d)", re.ASCII
)
CARD = re.compile(NOT_INSIDE + r"\d(?:[ -]?\d){12,18}" + NOT_GOING_ON, re.ASCII)
ISSUED = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|35\d{14}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d)\d{12}|62\d{14,17}"
)
"""First digits and lengths of Visa, Mastercard, American Express, JCB, Diners Club, Discover and UnionPay (ISO/IEC 7812)."""
IBAN = re.compile(NOT_INSIDE + r"[A-Z]{2}\d{2}(?: ?[0-9A-Z]){11,30}", re.ASCII)
CHINESE_IDENTITY = re.compile(NOT_INSIDE + r"\d{17}[\dXx]" + NOT_GOING_ON, re.ASCII)


class Found(NamedTuple):
    """Where in a text something personal stands."""

    start: int
    end: int
    kind: str


def treated(rows: pd.DataFrame, params: PersonalData) -> pd.DataFrame:
    """Return the rows of a source with what is personal masked, and a `reason` where they are to be dropped.

    Raises:
        TidemillError: there is something, and the params say to stop; the first rows are named.
    """
    found = {
        column: cells.map(lambda text: find(text, params) if isinstance(text, str) else [])
        for column, cells in rows.items()
        if column not in OURS
    }
    told = pd.Series(
        [
            ", ".join(sorted({one.kind for cell in cells for one in cell}))
            for cells in zip(*found.values(), strict=True)
        ],
        index=rows.index,
        dtype=str,
    )
    personal = told.ne("")
    if not personal.any():
        return rows
    if params.action == "stop":
        named = [f"{row} ({kinds})" for row, kinds in zip(rows["row"][personal], told[personal], strict=True)]
        more = f" and {len(named) - ROWS_NAMED} more" if len(named) > ROWS_NAMED else ""
        raise TidemillError(
            f"personal data in {len(named)} rows: {'; '.join(named[:ROWS_NAMED])}{more}: remove them, or set "
            "ingest.personal_data.action to mask or drop"
        )
    rows = rows.copy()
    for column, cells in found.items():
        if cells.map(len).any():
            rows[column] = [masked_text(text, spans) for text, spans in zip(rows[column], cells, strict=True)]
    if params.action == "drop":
        reason = rows["reason"] if "reason" in rows else pd.Series(None, index=rows.index, dtype=object)
        rows = rows.assign(reason=reason.astype(object).mask(personal & reason.isna(), "personal data: " + told))
    return rows


def masked_text(text: str, found: list[Found]) -> str:
    """Return a text of the same length in which nothing of what was found can be read."""
    for start, end, _ in found:
        text = text[:start] + MASK * (end - start) + text[end:]
    return text


def find(text: str, params: PersonalData) -> list[Found]:
    """Return what is personal in a text, by its place."""
    narrow = text.translate(NARROW)
    spans = {Found(start, end, kind) for kind in params.kinds for start, end in FINDERS[kind](narrow, params.regions)}
    return sorted(spans)


def _emails(text: str, _: list[str]) -> Iterator[tuple[int, int]]:
    yield from (found.span() for found in EMAIL.finditer(text))


def _ip_addresses(text: str, _: list[str]) -> Iterator[tuple[int, int]]:
    """Find addresses that can be reached from anywhere; those of a home network name nobody."""
    for found in IP_ADDRESS.finditer(text):
        try:
            if ip_address(found[0]).is_global:
                yield found.span()
        except ValueError:
            continue


def _telephones(text: str, regions: list[str]) -> Iterator[tuple[int, int]]:
    """Find numbers with a country's code, and those that are valid without it in a region."""
    from phonenumbers import PhoneNumberMatcher

    for region in [None, *regions]:
        yield from ((found.start, found.end) for found in PhoneNumberMatcher(text, region))


def _cards(text: str, _: list[str]) -> Iterator[tuple[int, int]]:
    from stdnum import luhn

    for found in CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if ISSUED.fullmatch(digits) and luhn.is_valid(digits):
            yield found.span()


def _ibans(text: str, _: list[str]) -> Iterator[tuple[int, int]]:
    """Find account numbers; words in capitals may follow, so the longest valid beginning counts."""
    from stdnum import iban

    for found in IBAN.finditer(text):
        ends = range(found.end(), found.start() + 14, -1)
        valid = (end for end in ends if text[end - 1] != " " and iban.is_valid(text[found.start() : end]))
        if (end := next(valid, None)) is not None:
            yield found.start(), end


def _chinese_identities(text: str, _: list[str]) -> Iterator[tuple[int, int]]:
    from stdnum.cn import ric

    yield from (found.span() for found in CHINESE_IDENTITY.finditer(text) if ric.is_valid(found[0].upper()))


FINDERS: Mapping[Kind, Callable[[str, list[str]], Iterator[tuple[int, int]]]] = {
    "email": _emails,
    "ip_address": _ip_addresses,
    "telephone": _telephones,
    "card": _cards,
    "iban": _ibans,
    "chinese_identity": _chinese_identities,
}
