"""Question answering: answers found in their contexts, windows, the best span over them, SQuAD's scores."""

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tidemill.rows.params import Ingest
from tidemill.rows.splitting import identified, placed
from tidemill.tasks.question_answering import baselines, encoding, learning, prediction, scoring
from tidemill.tasks.question_answering import rows as task_rows
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.tokens.tokenizers import fit_vocabulary
from tidemill.tokens.windows import flat, unfolded

CONTEXT = "Ada Lovelace lived in London. She wrote the first program in 1843, for a machine of Babbage."
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def rows(*asked: tuple[str, str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(asked, columns=["question", "context", "answers"])
    return table.assign(reason=None, label=None, row=[str(n) for n in range(len(table))])


def answer(text: str, context: str = CONTEXT) -> dict[str, Any]:
    return {"text": text, "start": context.index(text)}


@cache
def tokenizer() -> Tokenizer:
    return fit_vocabulary([" ".join(WORDS), CONTEXT] * 3, "wordpiece", 400)


def spec(length: int = 24, overlap: int = 6, question: int = 6, longest: int = 5, none: bool = False) -> dict[str, Any]:
    sizes = {"length": length, "overlap": overlap, "question": question, "answer": longest}
    return {"vocabulary": 400, "may_be_none": none, **sizes}


def encoded(table: pd.DataFrame, **sizes: Any) -> dict[str, torch.Tensor]:
    shards = MemoryShards(encoding.encode(table, tokenizer(), spec(**sizes)))
    return next(iter(Batches(shards, len(table))))


class TestAnswers:
    """What cleaning makes of answers."""

    def test_one_at_its_place_stays(self) -> None:
        cleaned = task_rows.clean(rows(("Where?", CONTEXT, [answer("London")])))
        assert cleaned["reason"].isna().all()
        assert cleaned["answers"][0] == [{"text": "London", "start": 22}]

    def test_one_at_a_wrong_place_is_mended_if_it_is_found_once(self) -> None:
        cleaned = task_rows.clean(rows(("When?", CONTEXT, [{"text": " 1843", "start": 0}])))
        assert cleaned["answers"][0] == [answer("1843")]

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ([{"text": "a", "start": 1}], "the answer 'a' does not stand at 1, but 7 times in the context"),
            ([{"text": "Paris", "start": -1}], "the answer 'Paris' does not stand at -1, but 0 times in the context"),
            ("Paris", "the answer 'Paris' stands 0 times in the context"),
            ([{"text": " ", "start": 1}], "an answer is empty"),
            (None, "no answers"),
            (float("nan"), "no answers"),
            ([{"start": 3}], "answers are not a list of {text, start}"),
            (7, "answers are not a list of {text, start}"),
        ],
    )
    def test_one_that_cannot_be_found_is_a_reason(self, given: Any, reason: str) -> None:
        assert task_rows.clean(rows(("Where?", CONTEXT, given)))["reason"].tolist() == [reason]

    @pytest.mark.parametrize(
        "given",
        [
            "London",
            ["London"],
            [{"text": "London", "answer_start": 22}],
            {"text": ["London"], "answer_start": [22]},
            {"text": ["London"]},
            np.array([{"text": "London", "start": np.int64(22)}]),
        ],
        ids=["text", "texts", "squad", "hub", "hub without places", "parquet"],
    )
    def test_every_usual_form_is_read(self, given: Any) -> None:
        assert task_rows.clean(rows(("Where?", CONTEXT, given)))["answers"][0] == [answer("London")]

    def test_an_empty_list_says_that_there_is_no_answer(self) -> None:
        cleaned = task_rows.clean(rows(("Who?", CONTEXT, [])))
        assert cleaned["answers"][0] == [] and cleaned["reason"].isna().all()

    def test_without_question_or_context_there_is_a_reason(self) -> None:
        cleaned = task_rows.clean(rows((" \u200b", CONTEXT, []), ("Who?", " \n", []), (None, CONTEXT, [])))
        assert cleaned["reason"].tolist() == ["no question", "no context", "no question"]

    def test_the_context_keeps_its_characters(self) -> None:
        odd = "\ufeffﬁne\r\n1²  e\u0301"
        cleaned = task_rows.clean(rows(("Ｗhat ？", odd, ["1²"])))
        assert cleaned["context"][0] == odd and cleaned["question"][0] == "What ?"
        assert cleaned["answers"][0] == [{"text": "1²", "start": 6}]


class TestSplit:
    """Which rows are copies, and which must stand together."""

    def test_questions_about_one_text_are_never_in_two_splits(self) -> None:
        table = rows(*((f"{word}?", f"Text {number}", []) for number in range(200) for word in WORDS))
        table = identified(task_rows.clean(table.assign(split=None)), task_rows.content(table))
        split = placed(table, Ingest(valid=0.2, test=0.2), task_rows.group(table))["split"]
        assert split.groupby(table["context"]).nunique().max() == 1
        assert split.value_counts(normalize=True)["test"] == pytest.approx(0.2, abs=0.1)

    def test_a_text_does_not_leave_its_split_by_case_or_white_space(self) -> None:
        table = rows(("a?", CONTEXT, []), ("b?", f" {CONTEXT.upper()}\n", []))
        assert task_rows.group(table).nunique() == 1 and task_rows.content(table).nunique() == 2

    def test_near_copies_are_alike_in_the_question_and_the_same_in_the_context(self) -> None:
        asked = "In which town did Ada Lovelace live all her life"
        table = rows(
            (f"{asked}?", CONTEXT, []), (f"{asked} ?!", CONTEXT, []), ("When?", CONTEXT, []), (asked, "Other", [])
        )
        keys = task_rows.near_copies(table, 0.9).tolist()
        assert keys[0] == keys[1] and len(set(keys)) == 3


class TestWindows:
    """How a question and its context become windows, and how these are cut out of a batch."""

    def test_windows_cover_the_context_and_overlap(self) -> None:
        context = " ".join(WORDS * 5)
        windows = unfolded(encoded(rows(("one two?", context, [])), length=24, overlap=6))
        head = 5  # [CLS] one two ? [SEP]
        texts = [
            window[head : length - 1] for window, length in zip(windows.tokens.tolist(), windows.lengths, strict=True)
        ]
        assert [len(text) for text in texts[:-1]] == [18] * (len(texts) - 1)
        assert all(one[-6:] == other[:6] for one, other in itertools.pairwise(texts))
        whole = texts[0] + [token for text in texts[1:] for token in text[6:]]
        assert whole == tokenizer().encode(context, add_special_tokens=False).ids
        assert windows.segments[0].tolist() == [0] * head + [1] * (24 - head)

    def test_targets_are_the_answer_where_a_window_holds_it_and_cls_elsewhere(self) -> None:
        context = " ".join(WORDS * 5)
        start = len(" ".join(WORDS * 2)) + 1
        said = [{"text": "zero one two", "start": start}]
        batch = encoded(rows(("one two?", context, said), ("ten?", CONTEXT, [answer("1843")]), ("six?", CONTEXT, [])))
        windows = unfolded(batch)
        starts, stops = (flat(batch, name) for name in ("starts", "stops"))
        ids = tokenizer().encode("zero one two", add_special_tokens=False).ids
        held = starts > 0
        assert held[windows.row == 0].sum() >= 1 and not held[windows.row == 2].any()
        for number in (held & (windows.row == 0)).nonzero()[:, 0]:
            assert windows.tokens[number, starts[number] : stops[number] + 1].tolist() == ids
        assert (stops[~held] == 0).all()

    def test_the_answer_that_most_people_gave_is_learned(self) -> None:
        said = [answer("London"), answer("1843"), answer("1843")]
        batch = encoded(rows(("When?", CONTEXT, said)), length=60)
        start, stop = int(batch["starts"]), int(batch["stops"])
        assert CONTEXT[batch["begins"][0, start] : batch["ends"][0, stop]] == "1843"

    def test_a_long_question_leaves_room_for_the_context(self) -> None:
        windows = unfolded(encoded(rows((" ".join(WORDS * 3), CONTEXT, []))))
        assert windows.context.any(1).all() and int(windows.lengths.max()) == 24

    @settings(deadline=None)
    @given(st.text(max_size=80), st.text(max_size=12))
    def test_any_text_gives_windows_that_fit(self, context: str, question: str) -> None:
        windows = unfolded(encoded(rows((question, context, []))))
        assert windows.tokens.shape[1] <= 24 and windows.inside.any(1).all()


class TestBestSpan:
    """The span with the highest score, by trying all of them."""

    @settings(deadline=None)
    @given(st.integers(0, 2**31), st.booleans())
    def test_it_is_the_best_of_all_spans_of_all_windows(self, seed: int, none: bool) -> None:
        context = " ".join(np.random.default_rng(seed).choice(WORDS, 40))
        windows = unfolded(encoded(rows(("one?", context, []), ("two three?", CONTEXT, []))))
        logits = torch.randn(*windows.tokens.shape, 2, generator=torch.Generator().manual_seed(seed % 1000))
        best = prediction.best_spans(logits, windows, 5, none)
        for row in (0, 1):
            mine = (windows.row == row).nonzero()[:, 0].tolist()
            scores = {(w, a, b): score for w in mine for a, b, score in all_spans(logits[w], windows.context[w], 5)}
            null = min(float(logits[w, 0].sum()) for w in mine)
            assert bool(best.none[row]) == (none and null > max(scores.values()))
            if not best.none[row]:
                chosen = (int(best.window[row]), int(best.start[row]), int(best.stop[row]))
                assert chosen == max(scores, key=scores.__getitem__)
                of_window = [score for (w, _, _), score in scores.items() if w == chosen[0]]
                everything = np.logaddexp.reduce([*of_window, float(logits[chosen[0], 0].sum())])
                assert best.confidence[row] == pytest.approx(np.exp(scores[chosen] - everything), rel=1e-4)

    def test_a_context_without_a_token_has_no_answer(self) -> None:
        class Zero(torch.nn.Module):
            def forward(self, tokens: torch.Tensor, lengths: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
                return torch.zeros(*tokens.shape, 2)

        found = prediction.outputs(Zero(), encoded(rows(("one?", "", []), ("one?", "two three", []))), spec())
        assert found["prediction"][0] == "" and found["start"][0] == -1
        assert found["prediction"][1] != ""


def all_spans(logits: torch.Tensor, context: torch.Tensor, longest: int) -> Any:
    places = context.nonzero()[:, 0].tolist()
    for start in places:
        for stop in range(start, min(start + longest, places[-1] + 1)):
            yield start, stop, float(logits[start, 0] + logits[stop, 1])


class TestLoss:
    """The loss of a batch."""

    def test_it_is_torchs_cross_entropy_over_the_tokens_of_each_window(self) -> None:
        batch = encoded(
            rows(("When?", CONTEXT, [answer("1843")]), ("one two?", "three four", [answer("four", "three four")]))
        )
        windows = unfolded(batch)
        logits = torch.randn(*windows.tokens.shape, 2, generator=torch.Generator().manual_seed(0))
        targets = [flat(batch, name) for name in ("starts", "stops")]
        for smoothing in (0.0, 0.1):
            loss, _ = learning.step(lambda *_: logits, batch, smoothing)  # type: ignore[arg-type]
            each = [
                torch.nn.functional.cross_entropy(logits[w, :length, side], targets[side][w], label_smoothing=smoothing)
                for w, length in enumerate(windows.lengths)
                for side in (0, 1)
            ]
            torch.testing.assert_close(loss, torch.stack(each).mean())


class TestScores:
    """SQuAD's exact match and F1."""

    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.lists(st.sampled_from(["the", "Cat", "cat,", "a", "dog!", "", "好"]), max_size=5),
                st.lists(
                    st.lists(st.sampled_from(["cat", "A", "dog", "好"]), min_size=1, max_size=4), min_size=1, max_size=3
                ),
            ),
            min_size=1,
            max_size=6,
        )
    )
    def test_they_are_those_of_torchmetrics(self, examples: list[tuple[list[str], list[list[str]]]]) -> None:
        from torchmetrics.functional.text import squad as torchmetrics_squad

        said = [" ".join(words) for words, _ in examples]
        accepted = [[" ".join(words) for words in answers] for _, answers in examples]
        theirs = torchmetrics_squad(
            [{"prediction_text": text, "id": str(n)} for n, text in enumerate(said)],
            [
                {"answers": {"text": texts, "answer_start": [0] * len(texts)}, "id": str(n)}
                for n, texts in enumerate(accepted)
            ],
        )
        exact = np.mean([scoring.exact_match(text, texts) for text, texts in zip(said, accepted, strict=True)])
        f1 = np.mean([scoring.f1(text, texts) for text, texts in zip(said, accepted, strict=True)])
        assert 100 * exact == pytest.approx(float(theirs["exact_match"]))
        if all(
            scoring.normalised(text) for text in [*said, *(text for texts in accepted for text in texts)]
        ):  # version 2.0 differs where one is empty
            assert 100 * f1 == pytest.approx(float(theirs["f1"]), abs=1e-4)

    def test_no_answer_is_right_only_where_there_is_none(self) -> None:
        assert scoring.f1("", []) == scoring.exact_match("", []) == 1
        assert scoring.f1("London", []) == scoring.f1("", ["London"]) == 0

    def test_a_prediction_is_shown_beside_the_answer_it_comes_nearest_to(self) -> None:
        table = pd.DataFrame({"answers": [[answer("1843"), answer("in 1843, for a machine")], []]})
        table = table.assign(prediction=["in 1843", "London"], confidence=[0.75, 0.5])
        scored = scoring.score(table, spec())
        assert scored["label"].tolist() == ["1843", ""]
        assert scored["correct"].tolist() == [False, False]
        assert scored["loss"].tolist() == pytest.approx([-np.log(0.25), -np.log(0.5)])

    def test_metrics_count_rows_by_their_weights(self) -> None:
        table = pd.DataFrame({"answers": [[answer("1843")], [answer("London")], []]})
        table = table.assign(prediction=["1843", "lived in London", "London"], confidence=[1.0, 0.5, 0.5])
        metrics = scoring.metrics(scoring.score(table, spec()), spec(none=True))
        assert metrics(np.array([1, 1, 0]))["exact_match"] == 0.5
        assert metrics(np.array([1, 1, 2]))["f1"] == pytest.approx((1 + 0.5) / 4)
        assert metrics(np.array([1, 1, 2]))["no_answer_accuracy"] == 0.5


class TestBaselines:
    """What a model must beat."""

    def test_the_first_sentence_ends_where_it_ends(self) -> None:
        table = rows(
            ("?", "Mr. X paid 3.5 dollars. Then he left.", []), ("?", "他走了。她来了。", []), ("?", "no end", [])
        ).assign(id="0")
        assert baselines.first_sentence(table)["prediction"].tolist() == ["Mr.", "他走了。", "no end"]

    def test_the_lexical_one_looks_beside_the_words_of_the_question(self) -> None:
        table = rows(("Who wrote the first program?", CONTEXT, []), ("好?", "...", [])).assign(id="0")
        assert baselines.lexical(table, table)["prediction"].tolist()[0] == "for a machine of Babbage"


def test_params_that_leave_no_room_are_refused(tmp_path: Path) -> None:
    file = {"path": str(tmp_path), "sha256": "0" * 64}
    with pytest.raises(ValueError, match="length 64 leaves no room"):
        encoding.Tokenize.model_validate({"tokenizer": file, "length": 64, "overlap": 0})


class TestCutContexts:
    """Training on a part of each context, with the answer in it."""

    CONTEXT = " ".join(WORDS * 4)
    ASKED = (
        ("one two?", CONTEXT, [{"text": "seven eight", "start": CONTEXT.index("seven eight")}]),
        ("three?", CONTEXT, [{"text": "ten zero", "start": CONTEXT.rindex("ten zero")}]),
        ("four?", CONTEXT, []),
        ("five?", "six seven", [{"text": "six", "start": 0}]),
    )

    def batch(self) -> dict[str, torch.Tensor]:
        return encoded(rows(*self.ASKED), none=True)

    def answers(self, batch: dict[str, torch.Tensor]) -> list[list[int]]:
        """The tokens of the answer of each window that holds one, in the order of the windows."""
        windows = unfolded(batch)
        spans = zip(windows.tokens, flat(batch, "starts").tolist(), flat(batch, "stops").tolist(), strict=True)
        return [tokens[start : stop + 1].tolist() for tokens, start, stop in spans if stop]

    @pytest.mark.parametrize("context", [1, 4, 7, 100])
    def test_the_answer_stays_and_the_rest_is_cut(self, context: int) -> None:
        torch.manual_seed(0)
        batch = self.batch()
        whole, before = unfolded(batch), self.answers(batch)
        for _ in range(20):
            cut_batch = learning.augment(batch, learning.Augment(context=context))
            cut = unfolded(cut_batch)
            assert self.answers(cut_batch) == before
            assert torch.equal(cut.row, whole.row)
            longest = max(map(len, before))
            assert (cut.context.sum(1) <= whole.context.sum(1)).all()
            assert cut.context.sum(1).max() <= max(context, longest)
            for tokens, inside, of_context, theirs, there in zip(
                cut.tokens, cut.inside, cut.context, whole.tokens, whole.inside, strict=True
            ):
                kept, all_of = tokens[inside].tolist(), theirs[there].tolist()
                head = int(of_context.int().argmax())
                assert kept[:head] == all_of[:head] and kept[-1] == all_of[-1]
                part = kept[head:-1]
                assert any(all_of[at : at + len(part)] == part for at in range(len(all_of)))

    def test_no_limit_that_is_reached_changes_nothing(self) -> None:
        batch = self.batch()
        cut = learning.augment(batch, learning.Augment(context=100))
        assert all(torch.equal(cut[name], batch[name]) for name in batch)

    def test_every_part_with_the_answer_occurs(self) -> None:
        torch.manual_seed(0)
        batch = encoded(rows(self.ASKED[0]), length=60)
        starts = {int(flat(learning.augment(batch, learning.Augment(context=5)), "starts")[0]) for _ in range(200)}
        head = int(batch["head"][0])
        assert starts == {head, head + 1, head + 2, head + 3}
