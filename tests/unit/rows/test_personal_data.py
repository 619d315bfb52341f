"""Personal data are found, and what only looks like them is not; rows are named, masked or dropped."""

import pandas as pd
import pytest

from tidemill.core.errors import TidemillError
from tidemill.rows.cleaning import ingested
from tidemill.rows.params import Ingest, PersonalData
from tidemill.rows.personal_data import find, treated
from tidemill.tasks.text_classification import rows as task

ALL = PersonalData(action="mask", regions=["CN", "US", "GB"])


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("Write to ada.lovelace+x@mail.example.org, please.", "email", "ada.lovelace+x@mail.example.org"),
        ("有问题联系ada@example.com谢谢", "email", "ada@example.com"),
        ("邮箱：ada＠example．com", "email", "ada＠example．com"),
        ("It came from 8.8.8.8.", "ip_address", "8.8.8.8"),
        ("服务器2001:4860:4860::8888坏了", "ip_address", "2001:4860:4860::8888"),
        ("at 2001:4860:4860::8888, twice", "ip_address", "2001:4860:4860::8888"),
        ("Call +44 20 7946 0018 now", "telephone", "+44 20 7946 0018"),
        ("Call (212) 555-2368 now", "telephone", "(212) 555-2368"),
        ("我的手机13812345678，微信同号", "telephone", "13812345678"),
        ("手机１３８１２３４５６７８", "telephone", "１３８１２３４５６７８"),
        ("电话010-62345678", "telephone", "010-62345678"),
        ("Card 4111 1111 1111 1111, exp 12/27", "card", "4111 1111 1111 1111"),
        ("卡号6212345678901232请查收", "card", "6212345678901232"),
        ("Amex 3782-822463-10005.", "card", "3782-822463-10005"),
        ("Pay GB82 WEST 1234 5698 7654 32 TODAY", "iban", "GB82 WEST 1234 5698 7654 32"),
        ("an DE89370400440532013000 überweisen", "iban", "DE89370400440532013000"),
        ("身份证号11010519491231002X。", "chinese_identity", "11010519491231002X"),
    ],
)
def test_what_is_personal_is_found(text: str, kind: str, expected: str) -> None:
    found = [text[start:end] for start, end, own in find(text, ALL) if own == kind]
    assert found == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "See @ada, or a@b, or version 2@3.4.",
        "His home network is 192.168.0.1, loopback 127.0.0.1, and 300.1.2.3 is none; nor is 1.2.3.4.5.",
        "At 12:30:45 on 2026-11-28, ratio 16:9:4.",
        "Order 10000000001, 1,234,567 pieces, ISBN 978-3-16-148410-0.",
        "订单号10000000001，价格138元，共13812件",
        "Card 4111 1111 1111 1112 has a wrong check digit, 1234567890123452 no issuer.",
        "GB83 WEST 1234 5698 7654 32 has wrong check digits; so has DE88370400440532013000.",
        "身份证110105194912310021校验位不对，11010519491331002X没有这一天。",
        "4111111111111111111111111111 is longer than a card number.",
    ],
)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert find(text, ALL) == []


def test_telephones_of_a_region_are_found_where_it_is_named() -> None:
    text = "我的手机13812345678"
    assert find(text, PersonalData(action="mask")) == []
    assert [one.kind for one in find(text, PersonalData(action="mask", regions=["CN"]))] == ["telephone"]
    assert find("ada@example.org", PersonalData(action="mask", kinds=["card"])) == []


def source() -> pd.DataFrame:
    texts = [f"review number {number} of a good book" for number in range(8)]
    texts[2], texts[5] = "write to ada@example.org, 很好", "电话13812345678，很差"
    labels = ["pos", "neg"] * 4
    places = [f"reviews.txt:{number}" for number in range(1, 9)]
    return pd.DataFrame({"text": texts, "label": labels, "row": places, "reason": None, "split": None})


def with_action(action: str) -> PersonalData:
    return PersonalData.model_validate({"action": action, "regions": ["CN"]})


def test_the_rows_that_stop_the_pipeline_are_named() -> None:
    with pytest.raises(TidemillError) as told:
        treated(source(), with_action("stop"))
    assert str(told.value).startswith(
        "personal data in 2 rows: reviews.txt:3 (email); reviews.txt:6 (telephone): remove them, or set"
    )


def test_masking_keeps_every_place_and_every_other_row() -> None:
    rows = source()
    masked = treated(rows, with_action("mask"))
    assert masked["text"][2] == "write to ███████████████, 很好"
    assert masked["text"][5] == "电话███████████，很差"
    assert masked.drop(index=[2, 5]).equals(rows.drop(index=[2, 5]))
    assert treated(masked, with_action("stop")).equals(masked)


def test_dropped_rows_are_rejected_with_the_reason_and_masked_there() -> None:
    params = Ingest(valid=0.2, test=0.2, near_duplicates=None, personal_data=with_action("drop"))
    kept, rejected = ingested(source(), task, params)
    assert len(kept) == 6
    assert sorted(rejected["reason"]) == ["personal data: email", "personal data: telephone"]
    assert not rejected["text"].str.contains("ada@|138").any()
