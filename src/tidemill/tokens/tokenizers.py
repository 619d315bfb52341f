"""Tokenizers, all of Hugging Face's `tokenizers`, so that each is saved as a standard `tokenizer.json`."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from tidemill.core.errors import TidemillError
from tidemill.core.pinned import PinnedFile, pinned

PAD, UNKNOWN = "[PAD]", "[UNK]"
FIRST, LAST, MASK = "[CLS]", "[SEP]", "[MASK]"
"""What BERT reads before and after a text, and for a masked token."""
SPECIAL = (PAD, UNKNOWN, FIRST, LAST, MASK)

Unit = Literal["characters", "words", "wordpiece"]


def fit_vocabulary(texts: Iterable[str], unit: Unit, size: int) -> Tokenizer:
    """Return a tokenizer with the `size` most frequent units of the texts, `[PAD]` (id 0) and `[UNK]` (id 1) included.

    Units are characters; words, split at white space and punctuation, each Chinese character a word by itself; or
    pieces of such words.
    """
    if unit == "wordpiece":
        return _fit_wordpiece(texts, size)
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    if unit == "characters":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    else:
        tokenizer.normalizer = normalizers.BertNormalizer(clean_text=False, strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=[PAD, UNKNOWN], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def read(file: PinnedFile) -> Tokenizer:
    """Read a tokenizer from a folder or hub id: any `tokenizer.json`, or BERT's `vocab.txt`. It neither pads nor truncates.

    Raises:
        TidemillError: it is missing, is not the pinned one, or is damaged.
    """
    path = pinned(file, ("tokenizer.json", "vocab.txt"))
    try:
        tokenizer = Tokenizer.from_file(str(path)) if path.suffix == ".json" else _of_file(path.read_text("utf-8"))
    except Exception as error:  # the library raises nothing narrower
        raise TidemillError(f"{path} is no tokenizer: {' '.join(str(error).split())}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def size(tokenizer: Tokenizer) -> int:
    """Return one more than the highest token id, which is the number of ids unless some are left out."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def _fit_wordpiece(texts: Iterable[str], size: int) -> Tokenizer:
    """Fit a WordPiece tokenizer (Schuster and Nakajima, 2012) with the special tokens of BERT.

    The trainer numbers letters inside words in random order; letters given as special tokens have a fixed one.
    """
    fitted = _bert_like(Tokenizer(models.WordPiece(unk_token=UNKNOWN)), lowercase=True)
    lines = list(texts)
    often = Counter(
        letter for line in lines for letter in fitted.normalizer.normalize_str(line) if not letter.isspace()
    )
    letters = sorted(letter for letter, _ in often.most_common((size - len(SPECIAL)) // 2))
    named = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=named, show_progress=False)
    fitted.train_from_iterator(lines, trainer)
    return _of_tokens(fitted.get_vocab(), lowercase=True)


def _of_file(content: str) -> Tokenizer:
    """Return the tokenizer of a `vocab.txt`; where that holds no capitals, it lowercases."""
    tokens = [line.rstrip("\r") for line in content.removesuffix("\n").split("\n")]
    cased = any(token != token.lower() for token in tokens if not token.startswith("["))
    return _of_tokens({token: number for number, token in enumerate(tokens)}, lowercase=not cased)


def _of_tokens(vocabulary: dict[str, int], lowercase: bool) -> Tokenizer:
    """Return a tokenizer that puts `[CLS]` before and `[SEP]` after each text."""
    if missing := [token for token in (PAD, UNKNOWN, FIRST, LAST) if token not in vocabulary]:
        raise ValueError(f"it has no {missing[0]}")
    tokenizer = _bert_like(Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN)), lowercase)
    tokenizer.add_special_tokens([token for token in SPECIAL if token in vocabulary])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{FIRST} $A {LAST}",
        pair=f"{FIRST} $A {LAST} $B:1 {LAST}:1",
        special_tokens=[(token, vocabulary[token]) for token in (FIRST, LAST)],
    )
    return tokenizer


def _bert_like(tokenizer: Tokenizer, lowercase: bool) -> Tokenizer:
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
