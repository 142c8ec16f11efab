"""The head's arithmetic does not depend on the precision that the encoder runs in."""

from __future__ import annotations

import torch

from headstart.tasks.classification import Classification
from headstart.testing.models import tiny_model


def test_in_reduced_precision_only_the_encoder_is_reduced() -> None:
    model = tiny_model(Classification(("a", "b")))
    batch = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = model.encoder(batch).pooled
        logits = model(batch)
    assert pooled.dtype == torch.bfloat16
    assert logits.dtype == torch.float32
    assert torch.equal(logits, (pooled.float() @ model.head.weight.T + model.head.bias))
