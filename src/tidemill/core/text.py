"""The forms of a text: one for reading it, one for continuing it."""

import re
import unicodedata

CONTROL = re.compile(r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b\u2060\ufeff\ufffe\uffff]")
SPACE = re.compile(r"[^\S\n]+")


def normalised(text: str) -> str:
    """Return a text in Unicode NFKC, without control characters, each run of white space as one space.

    Line breaks are kept.
    """
    text = unicodedata.normalize("NFKC", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (SPACE.sub(" ", CONTROL.sub("", line)).strip() for line in text.split("\n"))
    return "\n".join(lines).strip()


def tidied(text: str) -> str:
    """Return a text that a model is to write itself: Unicode NFC, `\\n` at line ends, no control characters.

    Unlike `normalised`, it keeps full-width characters and all white space.
    """
    return CONTROL.sub("", unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")))
