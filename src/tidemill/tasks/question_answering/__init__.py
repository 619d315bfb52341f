"""A question and a text in, the part of the text that answers it out."""

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tidemill.config import Expectation, Params, Validate
from tidemill.data import expectations as expect
from tidemill.data import text
from tidemill.data.pretrained import PinnedFile
from tidemill.tasks import Metrics, _behaviour, _classification
from tidemill.tasks.question_answering import spans, squad
from tidemill.tokens import tokenizers

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

INPUTS = ("question", "context")
TARGETS = ("answers",)
MAIN_METRIC = "f1"
MEANINGS = {
    "f1": "words that answer and prediction share: harmonic mean of precision and recall, as SQuAD counts them",
    "exact_match": "share of predictions that are an accepted answer, but for case, punctuation and articles",
    "calibration_error": _classification.MEANINGS["calibration_error"],
    "no_answer_accuracy": "share of questions for which it was seen whether the text answers them",
}
BUCKET = "tokens"

encode = spans.encode

Behaviour = _behaviour.TextBehaviour


class Tokenize(Params):
    """How a question and its context become windows of tokens."""

    tokenizer: PinnedFile
    """Folder or hub id of a WordPiece tokenizer: `tokenizer.json` or `vocab.txt`."""
    length: int = Field(default=384, ge=8)
    """Tokens of a window."""
    overlap: int = Field(default=128, ge=0)
    """Tokens of the context that two windows share."""
    question: int = Field(default=64, ge=1)
    """Tokens of a question that are kept."""
    answer: int = Field(default=30, ge=1)
    """Tokens of the longest answer."""

    @model_validator(mode="after")
    def _leaves_room(self) -> "Tokenize":
        if self.length <= self.question + spans.SPECIAL + self.overlap:
            raise ValueError(f"length {self.length} leaves no room for more than question and overlap")
        return self


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """The question in its one form; the context as it is, since an answer is a place in it."""
    question, context = (rows[name].fillna("").astype(str) for name in INPUTS)
    return rows.assign(question=question.map(text.normalised), context=context)


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise, and find the answers in their contexts; rows where that cannot be done get a reason."""
    rows = normalise(rows.assign(answers=rows.get("answers")))
    found = [_cleaned(*values) for values in zip(rows["answers"], rows["question"], rows["context"], strict=True)]
    reasons = pd.Series([reason for _, reason in found], index=rows.index, dtype=object)
    answers = pd.Series([answers for answers, _ in found], index=rows.index, dtype=object)
    return rows.assign(answers=answers, label=None, reason=rows["reason"].where(rows["reason"].notna(), reasons))


def _cleaned(answers: Any, question: str, context: str) -> tuple[list[squad.Answer], str | None]:
    if not question or not context.strip():
        return [], "no context" if question else "no question"
    try:
        return squad.located(answers, context), None
    except (ValueError, KeyError, TypeError) as error:
        return [], str(error) if isinstance(error, ValueError) else "answers are not a list of {text, start}"


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """The question with its context."""
    return rows["question"] + "\n" + rows["context"]


def group(rows: pd.DataFrame) -> "pd.Series[str]":
    """The letters and digits of the context: the questions about one text are all in one split."""
    return rows["context"].map(lambda context: "".join(filter(str.isalnum, context.casefold())))


def near_keys(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Questions with nearly the same shingles about the same context."""
    contexts = group(rows).map(lambda context: sha256(context.encode()).hexdigest())
    asked = rows["question"].groupby(contexts)
    return asked.transform(lambda questions: text.near_keys(questions, similarity)) + contexts


def expectations(params: Validate, tables: dict[str, pd.DataFrame]) -> list[Expectation]:
    """Questions and contexts that are not empty."""
    return expect.text_expectations("question") + expect.text_expectations("context")


def fit(rows: Iterator[pd.DataFrame], params: Tokenize) -> "Tokenizer":
    """The tokenizer that is named: a pretrained network knows no other's tokens."""
    return tokenizers.wordpiece(params.tokenizer)


def specify(rows: Iterator[pd.DataFrame], params: Tokenize, tokenizer: "Tokenizer") -> dict[str, Any]:
    """Vocabulary size, the measures of the windows, and whether some questions have no answer."""
    unanswered = any((block["answers"].map(len) == 0).any() for block in rows)
    measures = params.model_dump(include={"length", "overlap", "question", "answer"})
    return {"vocabulary": tokenizer.get_vocab_size(), "token_outputs": 2, "may_be_none": unanswered, **measures}


def step(
    network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Mean cross-entropy of where the answer starts and where it stops, over the windows; and how often both are right."""
    windows = spans.unfolded(batch)
    logits = network(windows.tokens, windows.lengths, windows.segments).float()
    targets = [spans.flat(batch, name) for name in ("starts", "stops")]
    losses = [_cross_entropy(logits[..., side], targets[side], windows.inside, label_smoothing) for side in (0, 1)]
    right = [
        logits[..., side].masked_fill(~windows.inside, -float("inf")).argmax(1) == targets[side] for side in (0, 1)
    ]
    return (losses[0] + losses[1]) / 2, {"span_accuracy": (right[0] & right[1]).float().mean()}


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: dict[str, Any]) -> dict[str, Any]:
    """The answer, empty for none, with its probability and its place in the context: characters `start` to `end`."""
    windows = spans.unfolded(batch)
    best = spans.best(spans.logits(network, windows), windows, spec["answer"], spec["may_be_none"])
    begins, ends = (spans.spread(spans.flat(batch, name), windows.inside).cpu().numpy() for name in ("begins", "ends"))
    start = np.where(best.none, -1, begins[best.window, best.start])
    end = np.where(best.none, -1, ends[best.window, best.stop])
    texts = [
        bytes(row[:size]).decode() for row, size in zip(batch["text"].cpu().numpy(), batch["text_length"], strict=True)
    ]
    return {
        "prediction": [
            whole[max(0, first) : max(0, last)] for whole, first, last in zip(texts, start, end, strict=True)
        ],
        "confidence": best.confidence,
        "start": start,
        "end": end,
    }


def score(predictions: pd.DataFrame, spec: dict[str, Any]) -> pd.DataFrame:
    """Each prediction with its `exact_match` and `f1`, as `label` the accepted answer that it comes nearest to, whether it
    is `correct`, and as `loss` how surprising that is, by its confidence, in nats."""
    accepted = [[answer["text"] for answer in answers] for answers in predictions["answers"]]
    pairs = list(zip(predictions["prediction"], accepted, strict=True))
    exact = np.array([squad.exact_match(prediction, answers) for prediction, answers in pairs])
    confidence = predictions["confidence"].to_numpy(dtype=np.float64)
    chance = np.where(exact == 1, confidence, 1 - confidence)
    return predictions.assign(
        label=[
            max(answers, key=lambda answer: squad.f1(prediction, [answer]), default="") for prediction, answers in pairs
        ],
        exact_match=exact,
        f1=[squad.f1(prediction, answers) for prediction, answers in pairs],
        correct=exact == 1,
        loss=-np.log(np.maximum(chance, np.finfo(np.float64).eps)),
    )


def metrics(predictions: pd.DataFrame, spec: dict[str, Any]) -> Metrics:
    """Exact match and F1, calibration error and, where some questions have no answer, how often that was seen.

    Args:
        predictions: As `score` gives them.
    """
    exact, f1 = (predictions[name].to_numpy(dtype=np.float64) for name in ("exact_match", "f1"))
    calibration_error = _classification.calibration_error(predictions["confidence"], exact)
    answered = predictions["answers"].map(len).to_numpy() > 0
    seen = answered == predictions["prediction"].ne("").to_numpy()

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        total = weights.sum()
        found = {"f1": float(weights @ f1 / total), "exact_match": float(weights @ exact / total)}
        found["calibration_error"] = calibration_error(weights)
        return found | ({"no_answer_accuracy": float(weights @ seen / total)} if spec["may_be_none"] else {})

    return weighted


def plots(predictions: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """`calibration`: confidence, share of exact matches and rows of each bin that is not empty."""
    return {"calibration": _classification.calibration(predictions["confidence"], predictions["exact_match"])}


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The first sentence of the context, and the words beside those of the question in the sentence most like it."""
    from tidemill.tasks.question_answering import span_baselines

    found = {
        "opening": span_baselines.first_sentence(test),
        "lexical": span_baselines.lexical(train, test),
    }
    return {name: score(table, spec) for name, table in found.items()}


def _cross_entropy(
    logits: "torch.Tensor", targets: "torch.Tensor", inside: "torch.Tensor", smoothing: float
) -> "torch.Tensor":
    """Mean cross-entropy of places (W,) by logits (W, L), over the tokens that are not padding."""
    surprise = -logits.masked_fill(~inside, -float("inf")).log_softmax(1)
    of_target = surprise.gather(1, targets[:, None])[:, 0]
    of_any = surprise.masked_fill(~inside, 0).sum(1) / inside.sum(1)
    return ((1 - smoothing) * of_target + smoothing * of_any).mean()
