"""Small tokenizers as checkpoints have them: byte-level BPE, Unigram and WordPiece, each with its post-processor."""

from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tidemill.core.files import sha256_file
from tidemill.core.pinned import PinnedFile
from tidemill.tokens.tokenizers import fit_vocabulary

TEXTS = ["Who sailed the ship?", "The captain sailed it home in May, and the cat slept.", "a b A B é 船"] * 5


def byte_level(style: str) -> Tokenizer:
    """As RoBERTa's or as Llama 3's, which adds a token before each text alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    if style == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False)
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)]
        )
    return tokenizer


def unigram() -> Tokenizer:
    """As ALBERT's and XLM-R's: pieces that hold the space before a word."""
    return Tokenizer.from_str(_unigram())


@lru_cache
def _unigram() -> str:
    """The trainer numbers equally likely pieces in random order: it is fitted once."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "</s>"]
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return str(tokenizer.to_str())


def word_piece() -> Tokenizer:
    return fit_vocabulary(TEXTS, "wordpiece", 200)


ALL = {
    "byte-level as RoBERTa's": lambda: byte_level("roberta"),
    "byte-level as Llama's": lambda: byte_level("llama"),
    "Unigram": unigram,
    "WordPiece": word_piece,
}


def saved(tokenizer: Tokenizer, folder: Path) -> PinnedFile:
    """Save a tokenizer that pads and truncates, as some are published, and pin it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.enable_padding(length=64)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"))
    return PinnedFile(path=str(folder), sha256=sha256_file(folder / "tokenizer.json"))
