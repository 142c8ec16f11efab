"""What several methods need."""

from __future__ import annotations

from torch import Tensor

from headstart.core.errors import ConfigError
from headstart.nn.freeze import PREFIX
from headstart.nn.model import Model, encoder_state


def share_epochs(total: int | None, defaults: list[int]) -> list[int]:
    """Epochs of each phase: `defaults`, or `total` shared in their proportion (largest remainder, ties to the later).

    The result sums to `total`; a phase may get none.
    """
    if total is None:
        return list(defaults)
    weight = sum(defaults)
    shares = [total * d / weight for d in defaults]
    epochs = [int(share) for share in shares]
    neediest = sorted(range(len(defaults)), key=lambda i: (shares[i] - epochs[i], i), reverse=True)
    for i in neediest[: total - sum(epochs)]:
        epochs[i] += 1
    return epochs


def starting_point(model: Model) -> dict[str, Tensor]:
    """A copy of the encoder's parameters as they are now, by their names in the model: w0, without running statistics.

    Take it before the first phase: a resumed run then takes the same.
    """
    return {PREFIX + name: tensor for name, tensor in encoder_state(model).items()}


def require_positive(**options: float) -> None:
    """Raises ConfigError naming the first option that is not above zero."""
    for name, value in options.items():
        if not value > 0:
            raise ConfigError(f"method.{name}={value}: expected a number above 0.")


def require_not_negative(**options: float) -> None:
    """Raises ConfigError naming the first option that is below zero."""
    for name, value in options.items():
        if not value >= 0:
            raise ConfigError(f"method.{name}={value}: expected 0 or more.")
