"""The recurrent network: it sees nothing of what comes later, and drops what it should."""

from __future__ import annotations

import pytest
import torch

from headstart.nn.lstm import LSTM, Locked


def network() -> LSTM:
    torch.manual_seed(0)
    return LSTM(50, embedding=6, hidden=10, dropout=0.4, weight_dropout=0.4)


def batch_of(*lengths: int) -> torch.Tensor:
    torch.manual_seed(1)
    batch = torch.full((len(lengths), 2, max(lengths)), -1)
    batch[:, 0] = 0
    for row, length in zip(batch, lengths, strict=True):
        row[0, :length] = torch.randint(1, 50, (length,))
        row[1, :length] = 0
    return batch


def test_a_token_is_told_by_those_before_it_alone() -> None:
    net = network().eval()
    batch = batch_of(9)
    other = batch.clone()
    other[0, 0, 5:] = 7
    with torch.no_grad():
        tokens, changed = net(batch).tokens, net(other).tokens
    assert tokens is not None
    assert changed is not None
    assert torch.equal(tokens[:, :5], changed[:, :5])
    assert not torch.equal(tokens[:, 5:], changed[:, 5:])


def test_a_text_is_its_last_state_and_the_maximum_and_mean_of_all() -> None:
    net = network().eval()
    batch = batch_of(9, 4)
    with torch.no_grad():
        found = net(batch)
        for row, length in enumerate((9, 4)):
            x = net.embedding(batch[row : row + 1, 0, :length])
            for layer in net.layers:
                x = layer.cell(x)[0]  # type: ignore[operator]
            expected = torch.cat([x[0, -1], x[0].max(0).values, x[0].mean(0)])
            torch.testing.assert_close(found.pooled[row], expected)
    assert found.pooled.shape == (2, net.width)


def test_weights_are_dropped_while_training_only() -> None:
    net, batch = network(), batch_of(8)
    net.train()
    torch.manual_seed(2)
    first = net(batch).pooled
    second = net(batch).pooled
    assert not torch.equal(first, second)
    torch.manual_seed(2)
    assert torch.equal(net(batch).pooled, first)
    net.eval()
    assert torch.equal(net(batch).pooled, net(batch).pooled)
    first.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_locked_dropout_drops_a_number_everywhere_or_nowhere(p: float) -> None:
    torch.manual_seed(0)
    out = Locked(p).train()(torch.ones(20, 7, 30))
    zero = out == 0
    assert torch.equal(zero, zero[:, :1].expand_as(zero))
    assert float(out.mean()) == pytest.approx(1, abs=0.15)
    assert float(zero.float().mean()) == pytest.approx(p, abs=0.1)
