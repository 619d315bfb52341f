"""The report and the model card: complete, self-contained, and the data in them is never markup."""

import base64
import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import pandas as pd
import pytest
from PIL import Image

from tests.unit.evaluation.examples import results, rows_of
from tidemill.evaluation import card, plots, report
from tidemill.evaluation.results import Results, verdict

HOSTILE = "<script>alert('x')</script> & </p> {{ 7 * 7 }} **bold** | [link](address)"
LABELS = ["<b>bad</b>", "good|fine"]


@pytest.fixture(scope="module")
def hostile() -> Results:
    return results(rows_of([f"{HOSTILE} {number}" for number in range(60)], LABELS), LABELS)


def test_the_report_shows_hostile_text_as_text(hostile: Results) -> None:
    page = report.render(hostile)
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page
    assert "<b>bad" not in page
    assert "{{ 7 * 7 }}" in page


def test_the_report_lists_the_features_of_each_label(hostile: Results) -> None:
    rows = [(LABELS[0], "characters", " <i>", 1.25), (LABELS[1], "words", "very fine", 0.5)]
    table = pd.DataFrame(rows, columns=["label", "kind", "feature", "weight"])
    page = report.render(replace(hostile, explanation=table))
    assert "What its weights say" in page and "What its weights say" not in report.render(hostile)
    assert "<bdi>␣&lt;i&gt;</bdi>" in page and "<bdi>very fine</bdi>" in page
    assert "<b>bad" not in page and "1.250" in page


def test_what_a_solver_found_stands_beside_the_params(hostile: Results) -> None:
    config = hostile.config | {"solution": {"train/strength": 3.0}}
    assert "solution" not in hostile.params
    page = report.render(replace(hostile, config=config))
    assert "<h3>solution</h3>" in page and "train/strength" in page


def test_the_report_needs_nothing_else(hostile: Results) -> None:
    page = report.render(hostile)
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)|url\(([^)]*)\)""", page)
    inside = [address for pair in addresses for address in pair if address]
    assert all(address.startswith(("data:", "#")) for address in inside)
    assert "default-src 'none'" in page


def test_the_report_is_complete(hostile: Results) -> None:
    page = report.render(hostile)
    for text in ("accuracy", "calibration error", "majority baseline", "exact copy", "12", "reviews.csv:", "abababab"):
        assert text in page
    assert page.count("<svg") == 3, "comparison, calibration and one curve"
    assert verdict(hostile) in page


def test_both_show_what_attacks_on_the_training_rows_found(hostile: Results) -> None:
    for document in (report.render(hostile), card.render(hostile)):
        assert "threshold on the loss: AUC" in document and "0.600 to 0.650" in document
        assert "true positives at 0.1 % false positives" in document and "900 training rows" in document
    unmeasured = replace(hostile, evaluation=hostile.evaluation | {"membership": None})
    assert "training rows and" not in report.render(unmeasured)
    assert "It was not measured what the model tells of its training rows." in card.render(unmeasured)


def test_both_show_what_is_recited(hostile: Results) -> None:
    for document in (report.render(hostile), card.render(hostile)):
        assert "share of the generated tokens in runs of at least 50 that stand in a training text" in document
        assert "0.050 to 0.175" in document and "near copies" in document and "0.080 to 0.416" in document
    unmeasured = replace(hostile, evaluation=hostile.evaluation | {"recitation": None})
    assert not any("near copies" in document for document in (report.render(unmeasured), card.render(unmeasured)))


def test_both_show_the_probes(hostile: Results) -> None:
    page = report.render(hostile)
    section = page.partition("Probes: predictions when the input is changed")[2].partition("<h2>")[0]
    assert "86 %" in section and "74 to 93 %" in section
    assert "&lt;b&gt;bad, 0.9</bdi> → <bdi>good|fine, 0.6" in section and "&lt;script&gt;" in section
    assert "no test row that it applies to" in section
    assert "| invariance | &lt;b>capitals | the same label | 50 | 0.860 (0.738 to 0.930) |" in card.render(hostile)


def test_the_same_results_give_the_same_documents(hostile: Results) -> None:
    assert report.render(hostile) == report.render(hostile)
    assert card.render(hostile) == card.render(hostile)


def test_plots_take_the_colours_of_the_page(hostile: Results) -> None:
    plot = plots.calibration(hostile.plots["calibration"])
    assert "var(--accent)" in plot
    assert not [placeholder for placeholder in plots.COLOURS if placeholder in plot]
    assert ElementTree.fromstring(plot).get("role") == "img"


def test_only_pixels_of_a_picture_get_into_the_report() -> None:
    buffer = io.BytesIO()
    Image.new("L", (28, 20), 200).save(buffer, "PNG")
    content = buffer.getvalue() + b"<script>"
    rows = rows_of(["-"] * 40, ["0", "1"]).rename(columns={"text": "image"}).assign(image=content)
    page = report.render(results(rows, ["0", "1"], task="image_classification"))
    shown = {base64.b64decode(found) for found in re.findall(r'src="data:image/png;base64,([^"]+)"', page)}
    (picture,) = shown
    assert b"<script>" not in picture
    assert Image.open(io.BytesIO(picture)).size == (28, 20)


def test_a_model_without_a_mistake() -> None:
    labels = ["no", "yes"]
    rows = rows_of([f"text {number}" for number in range(40)], labels)
    perfect = results(rows, labels, right=1)
    predicted = perfect.predictions.assign(prediction=rows["label"], correct=True)
    diagonal = {"confusion": pd.DataFrame({"actual": rows["label"], "predicted": rows["label"]})}
    page = report.render(replace(perfect, predictions=predicted, plots=perfect.plots | diagonal))
    assert "Most confident mistakes" not in page
    assert "Most confident mistakes" in report.render(results(rows, labels, right=0.2))


def test_a_task_without_labels_shows_the_rows_of_highest_loss(hostile: Results) -> None:
    evaluation = hostile.evaluation | {"per_class": {}}
    predicted = hostile.predictions[["id", "loss"]].assign(loss=[float(number) for number in range(60)])
    rows = hostile.rows.assign(label=None)
    unlabelled = replace(hostile, evaluation=evaluation, predictions=predicted, plots={}, rows=rows)
    page = report.render(unlabelled)
    assert "Highest losses" in page
    assert re.findall(r"loss <b>([\d.]+)</b>", page) == [f"{number:.1f}" for number in range(59, 47, -1)]
    assert 'class="wrong"' not in page
    assert "## Evaluation" in card.render(unlabelled)


def test_two_hundred_classes_stay_readable() -> None:
    labels = [f"class {number:03}" for number in range(200)]
    page = report.render(results(rows_of([f"text {number}" for number in range(600)], labels), labels))
    assert "The 50 weakest of 200 classes" in page
    assert 'class="matrix"' not in page
    assert "taken for" in page


def test_a_long_text_is_shortened() -> None:
    page = report.render(results(rows_of(["word " * 5000] * 40, ["no", "yes"]), ["no", "yes"], right=0.2))
    assert len(page) < 200_000
    assert "word…" in page


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        ({"value": 0.05, "low": 0.04, "high": 0.06}, "beats the majority baseline by 0.050 (0.040 to 0.060)"),
        ({"value": -0.05, "low": -0.06, "high": -0.04}, "falls short of the majority baseline by 0.050"),
        ({"value": 0.01, "low": -0.01, "high": 0.03}, "cannot be told apart from the majority baseline: +0.010"),
    ],
)
def test_the_verdict_says_no_more_than_the_interval(
    hostile: Results, difference: dict[str, float], sentence: str
) -> None:
    changed = replace(hostile, evaluation=hostile.evaluation | {"difference_to_majority": difference})
    assert sentence in verdict(changed)
    assert sentence in report.render(changed)
    assert sentence in card.render(changed)


def test_the_card_has_its_headings_and_plain_data(hostile: Results) -> None:
    text = card.render(hostile)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "Intended use",
        "Limitations",
        "Training data",
        "Training procedure",
        "Evaluation",
        "Privacy of the training rows",
        "Lineage",
    ]
    assert "<b>" not in text
    assert "good\\|fine" in text
    assert "pipeline_tag: text-classification" in text.split("---")[1]
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in tables:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1, f"a table whose rows differ in columns:\n{table}"
