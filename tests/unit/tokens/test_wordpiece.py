"""WordPiece: read as BERT's authors saved it, or fitted to texts, with the ids of Hugging Face's."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.core.pinned import PinnedFile
from tidemill.tokens.tokenizers import fit_vocabulary, read

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "play",
    "##ing",
    "##ed",
    "was",
    "fin",
    "##e",
    ",",
    "好",
]
TEXTS = ["The playing was fine", "PLAYED, the fined", "好好 play", "Þ", "", "  the\r\nplay\u200b "]


def pinned(path: Path) -> PinnedFile:
    return PinnedFile(path=str(path.parent), sha256=sha256_file(path))


def vocabulary(folder: Path, words: list[str] | None = None, ending: str = "\n") -> Path:
    path = folder / "vocab.txt"
    path.write_bytes((ending.join(words or VOCABULARY) + ending).encode())
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_vocabulary_gives_the_ids_of_hugging_face(tmp_path: Path, ending: str) -> None:
    from transformers import BertTokenizer

    ours = read(pinned(vocabulary(tmp_path, ending=ending)))
    theirs = BertTokenizer(vocab={word: number for number, word in enumerate(VOCABULARY)}, do_lower_case=True)
    assert ours.encode(TEXTS[0]).tokens == ["[CLS]", "the", "play", "##ing", "was", "fin", "##e", "[SEP]"]
    assert [ours.encode(text).ids for text in TEXTS] == [theirs(text)["input_ids"] for text in TEXTS]
    pair, other = ours.encode("the play", "was fine"), theirs("the play", "was fine")
    assert (pair.ids, pair.type_ids) == (other["input_ids"], other["token_type_ids"])


def test_a_vocabulary_with_capitals_keeps_them(tmp_path: Path) -> None:
    tokenizer = read(pinned(vocabulary(tmp_path, [*VOCABULARY, "The"])))
    assert tokenizer.encode("The the").tokens == ["[CLS]", "The", "the", "[SEP]"]


def test_a_saved_tokenizer_neither_pads_nor_cuts(tmp_path: Path) -> None:
    saved = fit_vocabulary(["the playing was fine"] * 3, "wordpiece", 60)
    saved.enable_padding(length=64)
    saved.enable_truncation(4)
    saved.save(str(tmp_path / "tokenizer.json"))
    tokenizer = read(pinned(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("the playing was fine").tokens == ["[CLS]", "the", "playing", "was", "fine", "[SEP]"]


def test_the_same_texts_fit_the_same_tokens() -> None:
    texts = ["low lower lowest new newer newest wide wider widest", "吃饭了吗 吃了"] * 3
    first, *others = [fit_vocabulary(texts, "wordpiece", 60).get_vocab() for _ in range(8)]
    assert others == [first] * 7


def test_a_fitted_one_knows_parts_of_words_it_never_saw(tmp_path: Path) -> None:
    fitted = fit_vocabulary(["low lower lowest new newer newest wide wider widest"] * 5, "wordpiece", 40)
    assert [fitted.token_to_id(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")] == [0, 1, 2, 3]
    assert "[UNK]" not in fitted.encode("widow").tokens
    fitted.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode("newlow").ids == fitted.encode("newlow").ids


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    file = pinned(vocabulary(tmp_path))
    vocabulary(tmp_path, [*VOCABULARY, "more"])
    with pytest.raises(TidemillError, match=r"vocab\.txt has the sha256 \w+, but the params ask for"):
        read(file)


def test_what_is_no_tokenizer_of_a_bert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TidemillError, match=r"no \[CLS\]"):
        read(pinned(vocabulary(tmp_path, ["[PAD]", "[UNK]", "[SEP]", "word"])))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TidemillError, match="is no tokenizer"):
        read(pinned(tmp_path / "tokenizer.json"))


def test_a_folder_without_one_and_an_unreachable_hub_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TidemillError, match=r"holds no tokenizer\.json and no vocab\.txt"):
        read(PinnedFile(path=str(tmp_path), sha256="0" * 64))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TidemillError, match=r"someone/something is not a folder here .* hub cannot be reached"):
        read(PinnedFile(path="someone/something", sha256="0" * 64))
