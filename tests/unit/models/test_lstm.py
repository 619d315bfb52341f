"""The recurrent classifier: padding never changes an answer, in either direction and with either pooling."""

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from tidemill.models.lstm import Params
from tidemill.models.lstm.network import RecurrentClassifier, build

SPEC = {"vocabulary": 50, "outputs": 3}


def network(**changes: Any) -> RecurrentClassifier:
    torch.manual_seed(0)
    return build(Params.model_validate({"name": "lstm", "embedding": 8, "hidden": 6, **changes}), SPEC).eval()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "max"])
def test_padding_does_not_change_the_logits(bidirectional: bool, pooling: str) -> None:
    model = network(bidirectional=bidirectional, pooling=pooling)
    short = torch.randint(2, 50, (1, 5))
    padded = torch.cat([short, torch.zeros(1, 7, dtype=torch.long)], dim=1)
    lengths = torch.tensor([5])
    torch.testing.assert_close(model(padded, lengths), model(short, lengths))


def test_the_states_are_those_of_torchs_packed_bidirectional_lstm() -> None:
    model = network(bidirectional=True)
    assert model.backward_lstm is not None
    theirs = torch.nn.LSTM(8, 6, batch_first=True, bidirectional=True)
    weights = dict(model.forward_lstm.named_parameters())
    weights |= {f"{name}_reverse": value for name, value in model.backward_lstm.named_parameters()}
    theirs.load_state_dict(weights)
    tokens, lengths = torch.randint(2, 50, (4, 9)), torch.tensor([9, 3, 7, 1])
    packed = pack_padded_sequence(model.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
    _, (hidden, _) = theirs(packed)
    torch.testing.assert_close(model(tokens, lengths), model.head(torch.cat([hidden[0], hidden[1]], dim=1)))


def test_the_published_setting_has_its_number_of_weights() -> None:
    model = build(Params(name="lstm", embedding=50, hidden=128), {"vocabulary": 10000, "outputs": 1})
    lstm = 4 * 128 * (50 + 128) + 2 * 4 * 128
    assert sum(weight.numel() for weight in model.parameters()) == 10000 * 50 + lstm + 128 + 1
