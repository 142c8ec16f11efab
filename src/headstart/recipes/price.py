"""What a source costs on this machine: time and memory of looking and of training, measured on a few items."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from headstart.core.source import Source
from headstart.data.loader import Batches
from headstart.features.bank import FeatureBank
from headstart.features.store import FeatureStore
from headstart.nn.depthwise import FastDepthwise
from headstart.nn.device import Precision, autocast, best_device
from headstart.nn.encoder import Encoder
from headstart.nn.model import Model

FEW, MORE, SLOW = 4, 8, 0.08
"""Items of the step that is measured: few where these take a forward pass of more than SLOW seconds, else more."""
STEP = 32
"""Items of the training step whose memory is told."""


@dataclass(frozen=True)
class Price:
    """encode, train: seconds an item, of a forward pass and of a training step of all weights, decoding included.

    memory_mb: of a training step of 32 items: weights, gradients, the two moments of Adam, and every tensor that the
    backward pass keeps. The workspace of single operations and the program itself come on top.
    """

    encode: float
    train: float
    memory_mb: float


def price(source: Source, batches: Batches, bank: FeatureBank, store: FeatureStore) -> Price:
    """Measured on items of `batches`, in the precision of the bank; remembered in the store, so once a machine."""
    device = best_device()
    key = {
        "price": 1,
        "architecture": source.card.architecture.model_dump(mode="json"),
        "input": source.card.input.digest(),
        "torch": torch.__version__,
        "device": device.type,
        "threads": torch.get_num_threads(),
    }
    known = store.recall(key)
    if known is not None:
        return Price(**json.loads(known))
    found = measure(bank.encoder, batches, device, bank.precision)
    store.remember(key, json.dumps(asdict(found)))
    return found


def measure(encoder: Encoder, batches: Batches, device: torch.device, precision: Precision) -> Price:
    """The price of a network, which is left as it was."""
    model = Model(copy.deepcopy(encoder), outputs=2).to(device).to(memory_format=torch.channels_last)
    torch.nn.init.normal_(model.head.weight)  # a head of zeros passes no gradient on

    def ready(items: int) -> Tensor:
        views = batches.evaluation([i % len(batches) for i in range(items)])
        return batches.prepare(views.to(device))

    def look(items: int) -> None:
        with torch.inference_mode(), autocast(device, precision):
            model.encoder(ready(items))

    def step(items: int) -> None:
        model.zero_grad(set_to_none=True)
        with autocast(device, precision), FastDepthwise():
            loss = model(ready(items)).square().mean()
        loss.backward()

    model.eval()
    items = FEW
    encode = _fastest(lambda: look(items), device)
    if encode < SLOW:
        items = MORE
        encode = _fastest(lambda: look(items), device)
    model.train()
    kept = _kept_bytes(lambda: step(items), model)  # which sets things up as well
    train = _fastest(lambda: step(items), device, times=1)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return Price(encode / items, train / items, (4 * weights + kept * STEP / items) / 1e6)


def _fastest(work: Callable[[], None], device: torch.device, times: int = 2) -> float:
    """Seconds of the fastest of some times: the first of them may have to set things up."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        if device.type != "cpu":
            getattr(torch, device.type).synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _kept_bytes(step: Callable[[], None], model: Model) -> int:
    """Bytes that the forward pass of `step` keeps for its backward pass, weights not counted."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}
    alive = []  # so that no storage's place is taken by another before all are counted

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    return sum(kept.values())
