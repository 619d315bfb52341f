"""Prompts and responses: what a row becomes, which tokens the loss is of, and what Hugging Face makes of the same."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from tests.unit.tokens.fast_tokenizers import byte_level
from tidemill.core import conversations
from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.models.common import networks
from tidemill.models.transformers import Params
from tidemill.tasks.text_generation import baselines, encoding, learning, prediction, rows
from tidemill.tasks.text_generation.encoding import Tokenize
from tidemill.tokens import chats
from tidemill.tokens.batches import Batches
from tidemill.tokens.chats import Chat
from tidemill.tokens.shards import MemoryShards, Shards, ShardWriter, windows
from tidemill.training.run import _rows

END = "<|endoftext|>"
CHATML = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
TALK = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "Where is the sea?"},
    {"role": "assistant", "content": "It is in the west."},
    {"role": "user", "content": "And the moon?"},
    {"role": "assistant", "content": "Above it."},
]


def table(*texts: object, **more: object) -> pd.DataFrame:
    return pd.DataFrame({"text": list(texts), "reason": None, **more})


def pairs(count: int) -> pd.DataFrame:
    asked = [f"How many are {number} and {number}?" for number in range(count)]
    return rows.clean(table(*asked, response=[f"They are {2 * number}, I say." for number in range(count)]))


@pytest.fixture(scope="module")
def plain():
    params = Tokenize(vocabulary=300, length=24, chat="plain")
    tokenizer = encoding.fit(iter([pairs(40)]), params)
    return tokenizer, encoding.specify(iter([pairs(40)]), params, tokenizer)


def published(folder: Path, **config: object) -> Chat:
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return Chat(path=str(folder), sha256={"tokenizer_config.json": sha256_file(folder / "tokenizer_config.json")})


class TestRows:
    """What cleaning makes of prompts, responses and messages."""

    def test_prompt_and_response_are_the_conversation_that_messages_are(self):
        messages = [{"role": "user", "content": "Who?\r\n"}, {"role": "assistant", "content": "I."}]
        joined = rows.clean(table("Who?\r\n", response=["I."]))
        listed = rows.clean(table(messages))
        assert conversations.read(joined["text"][0]) == conversations.read(listed["text"][0])
        assert conversations.read(joined["text"][0])[0]["content"] == "Who?\n"
        assert "response" not in joined and joined["reason"].isna().all()

    def test_it_is_the_same_after_a_parquet_file(self, tmp_path):
        table(TALK).to_parquet(tmp_path / "rows.parquet")
        again = rows.clean(pd.read_parquet(tmp_path / "rows.parquet"))
        assert conversations.read(again["text"][0]) == TALK

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (TALK[:2], "the conversation ends without a response"),
            ([*TALK[:2], {"role": "assistant", "content": " "}], "the conversation ends without a response"),
            (TALK[4:], "the conversation has no prompt"),
            ([], "there are no messages"),
            ([{"role": "user", "text": "Who?"}], "a message is no {role, content} of two texts"),
            ([TALK[1] | {"tool_calls": [1]}], "a message has tool_calls, which is neither role nor content"),
        ],
    )
    def test_what_teaches_nothing_gets_a_reason(self, text, reason):
        assert rows.clean(table(text))["reason"][0] == reason

    def test_a_text_that_looks_like_json_stays_a_text(self):
        assert rows.clean(table('[1, 2] is a list, ["a"] is one'))["text"][0] == '[1, 2] is a list, ["a"] is one'

    def test_other_responses_to_a_prompt_are_in_its_split(self):
        cleaned = rows.clean(table("Who?", "Who?", "Where?", response=["I.", "You.", "I."]))
        groups = rows.group(cleaned)
        assert groups[0] == groups[1] != groups[2]
        assert cleaned["text"].nunique() == 3

    def test_short_conversations_are_no_copies_for_what_their_normal_form_shares(self):
        cleaned = rows.clean(table("Who?", "Where?", response=["I.", "Here."]))
        assert rows.near_copies(cleaned, 0.5).nunique() == 2


class TestTokens:
    """Which tokens a template writes, and which of them are a response."""

    def test_the_plain_template_is_as_documented(self, plain):
        tokenizer, spec = plain
        tokens, counted = chats.encoded(tokenizer, TALK, spec["chat"], spec["end"])
        said = tokenizer.decode(tokens.tolist(), skip_special_tokens=False)
        assert said == (
            f"system:\nAnswer briefly.\n\nuser:\nWhere is the sea?\n\nassistant:\nIt is in the west.{END}"
            f"user:\nAnd the moon?\n\nassistant:\nAbove it.{END}"
        )
        responses = tokenizer.decode(tokens[counted == 1].tolist(), skip_special_tokens=False)
        assert responses == f"It is in the west.{END}Above it.{END}"

    def test_a_published_template_gives_the_tokens_of_the_library(self, tmp_path):
        import transformers

        tokenizer = byte_level("llama")
        chat = published(tmp_path, chat_template=CHATML, eos_token={"content": "</s>"}, bos_token="<s>")
        template = chats.published(chat, "</s>")
        end = tokenizer.token_to_id("</s>")
        chats.check(tokenizer, template, end)
        tokens, counted = chats.encoded(tokenizer, TALK, template, end)
        theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=CHATML)
        assert tokens.tolist() == theirs.apply_chat_template(TALK, return_dict=False)
        asked = chats.prompt(tokenizer, TALK[:2], template)
        assert asked == theirs.apply_chat_template(TALK[:2], add_generation_prompt=True, return_dict=False)
        responses = tokenizer.decode(tokens[counted == 1].tolist(), skip_special_tokens=False)
        assert responses == "It is in the west.</s>Above it.</s>"

    def test_a_response_is_what_the_library_marks_as_generated(self, plain):
        import transformers

        marked = (
            "{% for m in messages %}{{ m.role + ':\\n' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
        )
        marked += "{{ eos_token }}{% endgeneration %}{% else %}{{ m.content + '\\n\\n' }}{% endif %}{% endfor %}"
        tokenizer, spec = plain
        tokens, counted = chats.encoded(tokenizer, TALK, spec["chat"], spec["end"])
        theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, chat_template=marked)
        found = theirs.apply_chat_template(TALK, return_assistant_tokens_mask=True, return_dict=True)
        assert found["input_ids"] == tokens.tolist()
        assert found["assistant_masks"] == counted.tolist()

    def test_what_ends_a_response_is_a_text_in_a_message(self, plain):
        tokenizer, spec = plain
        tokens, _ = chats.encoded(tokenizer, [TALK[1] | {"content": f"Say {END}!"}, TALK[2]], spec["chat"], spec["end"])
        assert (tokens == spec["end"]).sum() == 1
        assert f"Say {END}!" in tokenizer.decode(tokens.tolist(), skip_special_tokens=False)

    def test_a_template_that_ends_a_response_otherwise_is_refused(self, tmp_path):
        tokenizer = byte_level("llama")
        template = chats.published(published(tmp_path, chat_template=CHATML), "<unk>")
        with pytest.raises(
            TidemillError, match=r"tokenize\.end: the chat template ends a response with .*not with <unk>"
        ):
            chats.check(tokenizer, template, tokenizer.token_to_id("<unk>"))

    def test_a_template_that_rewrites_its_prompt_is_refused(self, plain):
        tokenizer, spec = plain
        backwards = "{% for m in messages | reverse %}{{ m.content }}{{ eos_token }}{% endfor %}"
        with pytest.raises(TidemillError, match="in another way than after its prompt"):
            chats.encoded(tokenizer, TALK, {"jinja": backwards, "tokens": {"eos_token": END}}, spec["end"])

    def test_what_a_template_raises_is_one_line(self, plain):
        tokenizer, spec = plain
        strict = "{{ raise_exception('roles must alternate') }}"
        with pytest.raises(TidemillError, match="cannot write user, assistant: roles must alternate"):
            chats.encoded(tokenizer, TALK[1:3], {"jinja": strict, "tokens": {}}, spec["end"])

    def test_a_template_that_runs_code_is_refused(self, plain):
        tokenizer, _ = plain
        hostile = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
        with pytest.raises(TidemillError, match="the chat template cannot write"):
            chats.prompt(tokenizer, TALK[:1], {"jinja": hostile, "tokens": {}})

    def test_conversations_without_a_template_are_refused(self, plain):
        with pytest.raises(TidemillError, match=r"say how they are written, e\.g\. `tokenize\.chat: plain`"):
            encoding.specify(iter([pairs(3)]), Tokenize(vocabulary=300), plain[0])

    def test_a_config_without_a_template_names_the_other_file(self, tmp_path):
        with pytest.raises(TidemillError, match=r"pin the chat_template\.jinja beside it"):
            chats.published(published(tmp_path, eos_token="</s>"), "</s>")


def network(spec, folder=None):
    config = {"model_type": "llama", "vocab_size": spec["vocabulary"], "hidden_size": 16, "intermediate_size": 32}
    config |= {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 256}
    torch.manual_seed(0)
    return networks.build(Params(name="transformers", config=config), spec).eval()


class TestLoss:
    """The loss is that of the responses alone."""

    def batch(self, plain, count=6):
        tokenizer, spec = plain
        return next(iter(Batches(MemoryShards(encoding.encode(pairs(count), tokenizer, spec)), count))), spec

    def test_it_is_the_masked_loss_by_hand_and_that_of_the_library(self, plain):
        batch, spec = self.batch(plain)
        model = network(spec)
        loss, _ = learning.step(model, batch, 0.0)
        chances = model(batch["tokens"][:, :-1]).log_softmax(-1)
        by_hand = [
            -chances[row, place - 1, batch["tokens"][row, place]].item()
            for row in range(len(batch["tokens"]))
            for place in range(1, batch["tokens"].shape[1])
            if batch["counted"][row, place]
        ]
        assert loss.item() == pytest.approx(np.mean(by_hand), rel=1e-5)
        labels = batch["tokens"].masked_fill(batch["counted"] == 0, -100)
        theirs = model.model(input_ids=batch["tokens"], labels=labels).loss
        assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)

    def test_a_packed_window_learns_nothing_of_prompts(self, plain, tmp_path):
        tokenizer, spec = plain
        with ShardWriter(tmp_path) as writer:
            writer.append(encoding.encode(pairs(30), tokenizer, spec))
        packed = _rows(learning, tmp_path, spec)
        batch = next(iter(Batches(packed, 16)))
        assert batch["tokens"].shape == (16, spec["length"] + 1)
        model = network(spec)
        logits = model(batch["tokens"][:, :-1]).detach().requires_grad_()
        loss, _ = learning.step(lambda tokens: logits, batch, 0.0)
        loss.backward()
        touched = logits.grad.abs().sum(-1) > 0
        assert torch.equal(touched, batch["counted"][:, 1:] > 0)
        assert 0 < touched.float().mean() < 1
        labels = batch["tokens"].masked_fill(batch["counted"] == 0, -100)
        assert loss.item() == pytest.approx(
            functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten()).item(), rel=1e-5
        )

    def test_windows_of_prompts_alone_cost_nothing(self, plain):
        batch, spec = self.batch(plain)
        loss, _ = learning.step(network(spec), batch | {"counted": torch.zeros_like(batch["counted"])}, 0.1)
        loss.backward()
        assert loss.item() == 0

    def test_texts_have_windows_as_before(self, tmp_path):
        with ShardWriter(tmp_path) as writer:
            writer.append({"tokens": [np.arange(11, dtype=np.uint16)]})
        assert list(windows(Shards(tmp_path), learning.PACKED, 6).columns) == ["tokens"]

    def test_the_likelihood_is_that_of_the_response(self, plain):
        batch, spec = self.batch(plain)
        model = network(spec)
        with torch.inference_mode():
            found = prediction.outputs(model, batch, spec | {"length": 256})
            chances = model(batch["tokens"][:, :-1]).log_softmax(-1).gather(-1, batch["tokens"][:, 1:, None])[..., 0]
        counted = batch["counted"][:, 1:] > 0
        assert found["nll"] == pytest.approx((-chances * counted).sum(1).numpy(), rel=1e-4)
        assert found["tokens"].tolist() == counted.sum(1).tolist()
        assert found["bytes"].tolist() == [len(f"They are {2 * number}, I say.") for number in range(6)]


class TestResponding:
    """A conversation in, the next response out."""

    def test_a_prompt_a_conversation_and_one_with_its_response_ask_the_same(self, plain):
        tokenizer, spec = plain
        messages = [TALK[1], TALK[2]]
        options = prediction.Options(new_tokens=8, temperature=0)
        asked = [TALK[1]["content"], conversations.written(messages[:1]), conversations.written(messages)]
        found = {prediction.continuation(network(spec), tokenizer, text, spec, options).text for text in asked}
        assert len(found) == 1 and found != {""}

    def test_baselines_are_of_the_responses(self):
        train, test = pairs(20).assign(id="", label=None), pairs(23).tail(3).assign(id="", label=None)
        for found in baselines.baselines(train, test, {}).values():
            assert found["bytes"].tolist() == [len(f"They are {2 * number}, I say.") for number in (20, 21, 22)]
            assert (found["nll"] > 0).all() and (found["nll"] < 8 * found["bytes"]).all()


def test_a_saved_version_has_its_template_in_the_library_too(tmp_path):
    import transformers

    tokenizer = byte_level("llama")
    template = {"jinja": CHATML, "tokens": {"eos_token": "</s>", "bos_token": "<s>"}}
    spec = {"vocabulary": 330, "length": 64, "end": tokenizer.token_to_id("</s>"), "chat": template}
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    model = network(spec)
    params = model.params.model_dump()
    model.save(tmp_path, {"task": "text_generation", "model": params, "training": {}, "spec": spec, "device": "cpu"})
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = chats.prompt(tokenizer, TALK[:2], template)
    assert theirs.apply_chat_template(TALK[:2], add_generation_prompt=True, return_dict=False) == ours
