"""A proposal for data of one's own: what is found in it, and what `params.yaml` is after it."""

import json
import random
from pathlib import Path

import pandas as pd
import pytest
from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from tests.projects import DIGITS, REVIEWS
from tidemill.core import conversations
from tidemill.core.errors import TidemillError
from tidemill.formats import jsonl
from tidemill.formats.common.source import Source, read_rows
from tidemill.onboarding.new import Proposal, preset, propose, write
from tidemill.project.params import System, load_system
from tidemill.tasks.text_generation.rows import clean

PARAMS = """\
# What this project is about.
sources: {}   # none

systems:
    # Reviews, as they were.
    reviews:
        task: "text_classification"   # quoted
        source: {path: raw,   format: text, options: {label: name}}
        ingest: {}
        validate: {}
        tokenize: {}
        model: {name: lstm}
        training: {lr: 1e-3}
        evaluate: {}
        gates: {}
    # The last word.
"""
TOPICS = {"sport": "match goal team coach", "politics": "vote law senate minister"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project, and the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    return tmp_path


def news(rows: int = 400) -> pd.DataFrame:
    pick = random.Random(0)
    topics = [pick.choice(list(TOPICS)) for _ in range(rows)]
    bodies = [
        " ".join(pick.choices([*TOPICS[topic].split(), "the", "a", "of"], k=pick.randint(5, 30))) for topic in topics
    ]
    return pd.DataFrame({"number": range(rows), "body": bodies, "topic": topics})


def written(name: str, task: str | None, source: str) -> Proposal:
    """The proposal, as it now stands in `params.yaml`."""
    proposal = propose(name, task, source)
    write(proposal)
    return proposal


@pytest.mark.parametrize("task", ["text-classification", "text_classification", None])
def test_a_table_becomes_a_system_and_all_else_in_the_params_stays_byte_for_byte(
    folder: Path, task: str | None
) -> None:
    news().to_csv("news.csv", index=False)
    proposal = written("news", task, "news.csv")
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    assert text.startswith(PARAMS.removesuffix("    # The last word.\n") + "\n    news:\n")
    assert text.endswith("\n    # The last word.\n")
    system = load_system("news")
    assert system.task == "text_classification"
    assert system.source.columns == {"text": "body", "label": "topic"}
    assert system.tokenize.words == [1, 2] and system.tokenize.minimum_count == 1
    assert system.model.name == "linear" and "linear on n-grams; nothing else was tried" in proposal.lines
    assert any(line.startswith("texts: median length 18 words, maximum 30") for line in proposal.lines)
    assert proposal.command == "tidemill run news"
    assert any("sport" in line and "politics" in line for line in proposal.lines)


def test_a_preset_becomes_a_system(folder: Path) -> None:
    path = folder / "params.yaml"
    path.write_text(PARAMS + "presets:\n  longer:\n" + PARAMS.partition("    reviews:\n")[2], encoding="utf-8")
    proposal = preset("mine", "longer")
    write(proposal)
    assert load_system("mine") == load_system("reviews")
    assert path.read_text(encoding="utf-8").endswith(PARAMS.partition("    reviews:\n")[2])
    assert proposal.command == "tidemill run mine"
    with pytest.raises(TidemillError, match="no preset 'longr'; did you mean 'longer'"):
        preset("other", "longr")


@pytest.mark.parametrize("kind", ["lists.jsonl", "texts.csv", "lists.parquet"])
def test_several_labels_a_row_are_recognised_by_lists_or_separators(folder: Path, kind: str) -> None:
    pick = random.Random(1)
    table = news().assign(topic=[pick.sample(["sport", "law", "art"], pick.randint(0, 3)) for _ in range(400)])
    if kind == "lists.jsonl":
        table.to_json(kind, orient="records", lines=True)
    elif kind == "lists.parquet":
        table.to_parquet(kind)
    else:
        table.assign(topic=table["topic"].map(" | ".join)).to_csv(kind, index=False)
    proposal = written("news", None, kind)
    system = load_system("news")
    assert system.task == "multilabel_classification"
    assert system.source.columns == {"text": "body", "labels": "topic"}
    assert system.source.lists == ({"labels": "|"} if kind == "texts.csv" else {})
    assert any(line.startswith("3 labels: ") for line in proposal.lines)
    rows = read_rows(system.source)
    assert [list(labels) for labels in rows["labels"]] == table["topic"].tolist()


def test_lists_in_place_of_a_label_are_reported(folder: Path) -> None:
    news().assign(label=[["sport"], []] * 200).to_json("news.jsonl", orient="records", lines=True)
    with pytest.raises(TidemillError, match=r"column 'label' holds lists: task multilabel_classification"):
        read_rows(Source(path="news.jsonl", format="jsonl", options=jsonl.Options()))


@pytest.mark.parametrize(
    "start", ["systems: {}\n", "systems: {}  # none yet\nsources: {}\n", "sources: {}\nsystems: { }"]
)
def test_a_project_without_systems_gets_its_first(folder: Path, start: str) -> None:
    (folder / "params.yaml").write_text(start, encoding="utf-8")
    news().to_csv("news.csv", index=False)
    written("news", None, "news.csv")
    assert load_system("news").task == "text_classification"
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    assert [line for line in start.splitlines() if "systems" not in line] == [
        line for line in text.splitlines() if line.startswith("sources")
    ]
    assert ("# none yet" in text) == ("# none yet" in start)


def test_dvc_reads_back_what_it_rewrites(folder: Path) -> None:
    """`dvc exp run -S` writes params.yaml anew; flow style does not always survive that."""
    table = news().rename(columns={"body": "a: column, [odd]", "topic": "1e-3"})
    table.to_csv("news.csv", index=False)
    written("news", None, "news.csv")
    block = (folder / "params.yaml").read_text(encoding="utf-8").partition("    news:\n")[2]
    assert not any(sign in block.replace("[odd]", "").replace("{}", "") for sign in "{[")
    before = YAML(typ="safe").load(folder / "params.yaml")
    with modify_yaml(str(folder / "params.yaml")) as params:
        params["systems"]["news"]["training"]["seed"] = 5
    after = YAML(typ="safe").load(folder / "params.yaml")
    before["systems"]["news"]["training"]["seed"] = 5
    assert after == before
    assert load_system("news").source.columns == {"text": "a: column, [odd]", "label": "1e-3"}


def test_windows_line_ends_of_the_params_stay(folder: Path) -> None:
    (folder / "params.yaml").write_bytes(PARAMS.replace("\n", "\r\n").encode())
    news().to_csv("news.csv", index=False)
    written("news", None, "news.csv")
    lines = (folder / "params.yaml").read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\r\n") for line in lines)


def test_a_block_goes_before_what_follows_the_systems(folder: Path) -> None:
    systems = PARAMS[PARAMS.index("systems:") :].rstrip("\n")
    (folder / "params.yaml").write_text(f"{systems}\n\n# Where data comes from.\nsources: {{}}", encoding="utf-8")
    news().to_csv("news.csv", index=False)
    written("news", None, "news.csv")
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    assert text.index("    news:") < text.index("# Where data comes from.")
    assert text.endswith("sources: {}")


def test_mistakes_in_the_params_are_reported_before_the_data_is_read(folder: Path) -> None:
    (folder / "params.yaml").write_text("systems:\n  one: {}\n", encoding="utf-8")
    with pytest.raises(TidemillError, match=r"systems.one.task is missing"):
        propose("news", None, "news.csv")


@pytest.mark.parametrize(
    ("name", "task", "source", "message"),
    [
        ("reviews", None, "news.csv", "has a system 'reviews' already"),
        ("My News", None, "news.csv", "is not a valid system name"),
        ("news", "speech", "news.csv", "no task 'speech'; there are: image-classification"),
        ("news", "text-clasification", "news.csv", "no task 'text-clasification'; did you mean 'text-classification'?"),
        ("news", None, "old.csv", "old.csv is missing"),
        ("news", None, "*.json", "holds no file that matches"),
        ("news", None, "strange.xyz", "no format known for .xyz"),
        (
            "news",
            "image-classification",
            "news.csv",
            "needs a column for image, and none of these can be: number, body",
        ),
        ("news", "question-answering", "news.csv", "needs a column for question"),
        ("news", "text-classification", "one.csv", "all 400 rows have the label 'same'"),
        ("news", None, "many.csv", "1,200 labels, but at most 1,000"),
        ("news", "text-classification", "ids.csv", "needs a column for label"),
    ],
)
def test_what_cannot_become_a_system_is_reported_in_one_line_and_the_params_stay(
    folder: Path, name: str, task: str | None, source: str, message: str
) -> None:
    news().to_csv("news.csv", index=False)
    news().assign(topic="same").to_csv("one.csv", index=False)
    news().assign(topic=[f"id {number}" for number in range(400)]).to_csv("ids.csv", index=False)
    news(12_000).assign(topic=lambda rows: "class " + (rows["number"] % 1200).astype(str)).to_csv(
        "many.csv", index=False
    )
    (folder / "strange.xyz").write_text("?")
    with pytest.raises(TidemillError, match=message.replace("*", r"\*")) as error:
        propose(name, task, source)
    assert "\n" not in str(error.value)
    assert (folder / "params.yaml").read_text(encoding="utf-8") == PARAMS


def test_splits_encoding_and_packing_of_files_are_detected(folder: Path) -> None:
    (folder / "sets").mkdir()
    table = news().assign(body=lambda rows: rows["body"] + " at the café")
    for name, part in {"train": table[:300], "dev": table[300:350], "test": table[350:]}.items():
        part.to_csv(f"sets/{name}.csv.gz", index=False, sep=";", encoding="cp1252")
    (folder / "sets/readme.pdf").write_text("?")
    proposal = written("news", None, "sets")
    system = load_system("news")
    assert system.source.options.splits == {"train": "train.csv.gz", "valid": "dev.csv.gz", "test": "test.csv.gz"}
    assert system.source.options.encoding == "cp1252"
    assert "files of other kinds, ignored: 1" in proposal.lines[0]
    rows = read_rows(system.source)
    assert rows["split"].value_counts().to_dict() == {"train": 300, "valid": 50, "test": 50}
    assert rows["text"].str.endswith(" at the café").all()


def test_a_table_without_a_header_gets_names(folder: Path) -> None:
    news()[["topic", "body"]].to_csv("news.csv", index=False, header=False)
    written("news", None, "news.csv")
    source = load_system("news").source
    assert source.columns == {"text": "column2", "label": "column1"}
    assert len(read_rows(source)) == 400


def test_plain_text_is_labelled_by_its_folders_or_files_and_read_as_documents_for_generation(folder: Path) -> None:
    table = news()
    for topic, part in table.groupby("topic"):
        (folder / "tree" / str(topic)).mkdir(parents=True)
        for number, body in part["body"].items():
            (folder / "tree" / str(topic) / f"{number}.txt").write_text(body)
        (folder / "files").mkdir(exist_ok=True)
        (folder / "files" / f"{topic}.txt").write_text("\n".join(part["body"]) + "\n")
    for name, source in {"tree": "tree", "files": "files"}.items():
        written(name, None, source)
        labels = read_rows(load_system(name).source)["label"].value_counts()
        assert labels.to_dict() == table["topic"].value_counts().to_dict()
    written("stories", "text-generation", "tree")
    assert load_system("stories").source.options.unit == "file"


@pytest.mark.parametrize("kind", ["messages", "prompts"])
def test_conversations_are_recognised_by_messages_or_by_prompts_with_responses(folder: Path, kind: str) -> None:
    asked = [f"How many are {number} and {number}?" for number in range(300)]
    said = [f"They are {2 * number}." for number in range(300)]
    if kind == "messages":
        talks = [
            [{"role": "user", "content": one}, {"role": "assistant", "content": other}]
            for one, other in zip(asked, said, strict=True)
        ]
        pd.DataFrame({"messages": talks}).to_json(folder / "talks.jsonl", orient="records", lines=True)
        columns = {"text": "messages"}
    else:
        pd.DataFrame({"number": range(300), "instruction": asked, "completion": said}).to_csv("talks.csv", index=False)
        columns = {"text": "instruction", "response": "completion"}
    proposal = written("talks", None, "talks.jsonl" if kind == "messages" else "talks.csv")
    assert "text_generation" in proposal.lines[1]
    system = load_system("talks")
    assert system.source.columns == columns and system.tokenize.chat == "plain"
    rows = clean(read_rows(system.source))
    assert rows["reason"].isna().all()
    assert conversations.read(rows["text"][2])[1]["content"] == "They are 4."


def test_a_pattern_names_the_files(folder: Path) -> None:
    (folder / "many").mkdir()
    for year in (2023, 2024, 2025):
        news(100).assign(year=year).to_json(f"many/{year}.jsonl", orient="records", lines=True)
    written("news", None, "many/202[34].jsonl")
    assert len(read_rows(load_system("news").source)) == 200


def test_text_without_spaces_between_words_is_cut_into_n_grams_of_characters(folder: Path) -> None:
    pick = random.Random(0)
    lines = [
        "".join(pick.choices("这家酒店房间很干净服务热情早餐好", k=12)) + f"，{pick.choice('甲乙')}" for _ in range(200)
    ]
    table = pd.DataFrame({"text": lines, "label": [line[-1] for line in lines]})
    table.to_parquet("reviews.parquet")
    written("chinese", None, "reviews.parquet")
    assert load_system("chinese").tokenize.characters == [1, 3]
    assert load_system("chinese").tokenize.words is None


def test_questions_need_an_encoder_that_the_project_has_pinned(folder: Path) -> None:
    asked = [
        {"question": f"Who is {number}?", "context": f"It is Bob{number}.", "answers": [f"Bob{number}"]}
        for number in range(40)
    ]
    (folder / "asked.jsonl").write_text("\n".join(map(json.dumps, asked)))
    with pytest.raises(TidemillError, match="question_answering needs a pinned encoder"):
        propose("asked", None, "asked.jsonl")


def test_the_blocks_that_tests_train_are_whole(folder: Path) -> None:
    """What is proposed has every part that a system must have."""
    news().to_csv("news.csv", index=False)
    written("news", None, "news.csv")
    needed = {field.alias or name for name, field in System.model_fields.items() if field.is_required()}
    given = YAML(typ="safe").load(folder / "params.yaml")["systems"]["news"]
    assert set(given) == set(REVIEWS) == set(DIGITS) == needed
