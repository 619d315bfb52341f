"""Reading a `tokenizer.json`, whichever kind of tokenizer wrote it."""

import json
from pathlib import Path

from tokenizers import Tokenizer

from tidemill.core.errors import TidemillError
from tidemill.tokens import ngrams
from tidemill.tokens.ngrams import NGrams


def read(path: Path) -> Tokenizer | NGrams:
    """Return n-grams that we saved, or a tokenizer of Hugging Face's library.

    Raises:
        TidemillError: the file is damaged.
    """
    text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise TidemillError(f"{path} is damaged: {error}") from error
    return ngrams.of_document(document) if document.get("format") == ngrams.FORMAT else Tokenizer.from_str(text)
