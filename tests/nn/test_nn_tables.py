"""Networks for tables: what is missing is the mean, and what is new is nothing in particular."""

from __future__ import annotations

import pytest
import torch

from headstart.core.errors import ConfigError
from headstart.nn.tables import MLP, Columns, FTTransformer, ResNet

LEVELS = [0, 3, 0]
NETWORKS = [MLP, ResNet, FTTransformer]


def test_columns_by_hand() -> None:
    columns = Columns(LEVELS)
    batch = torch.tensor([[1.5, 2.0, -1.0], [float("nan"), -1.0, 4.0]])
    out = columns(batch)
    assert out.shape == (2, 2 + 3)
    assert out[0, :2].tolist() == [1.5, -1.0]
    assert out[1].tolist() == [0.0, 4.0, 0.0, 0.0, 0.0]
    (table,) = columns.parameters()
    assert torch.equal(out[0, 2:], table[3])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_missing_number_is_the_mean_and_rows_do_not_meet(network: type[MLP]) -> None:
    torch.manual_seed(0)
    net = network(LEVELS, width=16).eval()
    batch = torch.tensor([[0.0, 1.0, 2.0], [float("nan"), 1.0, 2.0], [3.0, -1.0, 1.0]])
    with torch.no_grad():
        pooled = net(batch).pooled
        alone = net(batch[2:]).pooled
    assert pooled.shape == (3, net.width)
    torch.testing.assert_close(pooled[0], pooled[1])
    torch.testing.assert_close(pooled[2:], alone)
    assert not torch.allclose(pooled[0], pooled[2])


def test_every_column_matters_to_the_transformer() -> None:
    torch.manual_seed(0)
    net = FTTransformer(LEVELS, width=16).eval()
    batch = torch.tensor([[0.5, 1.0, 2.0]])
    with torch.no_grad():
        before = net(batch).pooled
        for i in range(3):
            other = batch.clone()
            other[0, i] -= 1
            assert not torch.allclose(net(other).pooled, before)


def test_too_many_columns_for_pairs() -> None:
    with pytest.raises(ConfigError, match="1001 are too many for it"):
        FTTransformer([0] * 1001)
