"""The card of a source: where it comes from, what it costs, what input it takes."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator


class Frozen(BaseModel):
    """A typed value that cannot be changed after it is made and takes no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def digest_of(contract: dict[str, Any]) -> str:
    """As `Contract.digest`, of a contract as plain values: one that was written before it had all of today's fields has
    the digest that was written with it."""
    return hashlib.sha256(json.dumps(contract, sort_keys=True).encode()).hexdigest()


class Contract(Frozen):
    """What a network takes, and how an item is made into it: all that preprocessing depends on."""

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: nothing in it can change, and thousands of columns take seconds to copy."""
        return self

    def digest(self) -> str:
        """sha256 over the contract's canonical JSON: two contracts are equal if this is."""
        return digest_of(self.model_dump())

    @property
    def assets(self) -> tuple[str, ...]:
        """Hashes of what preprocessing needs beside the contract; see `headstart.core.assets`."""
        return ()

    @property
    def by_word(self) -> bool:
        """Whether the items are words where they stand; see `headstart.core.passages`."""
        return False


class ImageInput(Contract):
    """The preprocessing contract of an image network.

    resize: the short side is scaled to this many pixels.
    crop: the centre square of this many pixels is what the network sees.
    mean, std: per channel, in the 0..1 range, RGB order.
    """

    modality: Literal["image"] = "image"
    resize: int = Field(256, ge=1, le=8192)
    crop: int = Field(224, ge=1, le=8192)
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class TextInput(Contract):
    """The preprocessing contract of a text network.

    tokenizer: sha256 of its tokenizer.json (the format of the `tokenizers` library), an asset (`core.assets`).
    length: tokens at most, those that the tokenizer adds included; of a longer text the beginning is seen.
    prefix: put before every text ("query: ").
    by: what there is one vector of: each text, or each word of it. Of a longer text, a word is then seen in a stretch
        of this length that it stands in the midst of.
    """

    modality: Literal["text"] = "text"
    tokenizer: str = Field(pattern="^[0-9a-f]{64}$")
    length: int = Field(128, ge=4, le=8192)
    prefix: str = ""
    by: Literal["text", "word"] = "text"

    @property
    def by_word(self) -> bool:
        return self.by == "word"

    @property
    def assets(self) -> tuple[str, ...]:
        return (self.tokenizer,)


class Mel(Frozen):
    """A log-mel spectrogram. Lengths in samples; frequencies in hertz.

    window: of a frame, under a Hann window; transform: of the Fourier transform, zeros behind the frame; None is as
    long. hop: from a frame to the next.
    scale, norm: of the mel filters: "slaney" or "htk"; triangles of area 1 hertz ("slaney"), of weights that sum to 1,
    or of height 1 ("none"). power: 1 magnitude, 2 energy.
    edges: frames are centred on their time, the signal reflected at its ends or surrounded by zeros; "none": the first
    begins where the signal does, and the last ends in it.
    kaldi: frames as Kaldi makes them: their mean removed, pre-emphasised by 0.97, the window symmetric, filters
    triangular in mels instead of hertz.
    log: how energies become levels: "clamp" ln(max(x, floor)); "shift" ln(x + floor); "whisper" log10(max(x, floor)),
    at most 8 below the clip's largest, (x + 4) / 4, the last frame dropped (Radford et al. 2023); "none" as they are.
    Then (level - mean) / std: another base of the logarithm is another std.
    """

    bands: int = Field(80, ge=1, le=512)
    window: int = Field(400, ge=16, le=65_536)
    transform: int | None = Field(None, ge=16, le=65_536)
    hop: int = Field(160, ge=1, le=65_536)
    lowest: float = Field(0.0, ge=0)
    highest: float | None = Field(None, gt=0)
    scale: Literal["slaney", "htk"] = "slaney"
    norm: Literal["slaney", "sum", "none"] = "slaney"
    power: float = Field(2.0, ge=1, le=4)
    edges: Literal["reflect", "zeros", "none"] = "reflect"
    kaldi: bool = False
    log: Literal["clamp", "shift", "whisper", "none"] = "clamp"
    floor: float = Field(1e-10, gt=0)
    mean: float = 0.0
    std: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _fits(self) -> Mel:
        if self.transform is not None and self.transform < self.window:
            raise ValueError(f"a transform of {self.transform} samples is shorter than its window of {self.window}")
        return self


class AudioInput(Contract):
    """The preprocessing contract of a network that hears: one channel at `rate` hertz, `seconds` long; a shorter clip
    is followed by silence, of a longer one the middle is heard. mel: the network takes this spectrogram (B, bands,
    frames), or the wave itself (B, samples) where it is None.

    any_length: the network takes clips of any length, up to half a minute; `seconds` may be chosen to suit the data,
    but not below `shortest`: what it was trained on went on for as long, if only in silence.
    level: what is done to the loudness of what is heard, before silence is added: "peak" makes the largest sample 1;
    "unit" the mean 0 and the deviation 1; "speech" raises a quieter clip to -30 dB of full scale; "none" nothing.
    """

    modality: Literal["audio"] = "audio"
    rate: int = Field(16_000, ge=1000, le=384_000)
    seconds: float = Field(5.0, gt=0, le=600)
    any_length: bool = False
    shortest: float = Field(0.0, ge=0)
    level: Literal["none", "peak", "unit", "speech"] = "none"
    mel: Mel | None = None

    @property
    def samples(self) -> int:
        return round(self.rate * self.seconds)

    @property
    def frames(self) -> int:
        """Frames of the spectrogram. Raises ValueError where the contract has none."""
        if self.mel is None:
            raise ValueError("this contract is of a wave: it has no frames")
        if self.mel.edges == "none":
            return 1 + (self.samples - self.mel.window) // self.mel.hop
        return self.samples // self.mel.hop + (self.mel.log != "whisper")

    @model_validator(mode="after")
    def _fits(self) -> AudioInput:
        if self.mel is not None and self.samples < self.mel.window:
            raise ValueError(f"{self.samples} samples are fewer than a window of {self.mel.window}")
        return self


class Column(Frozen):
    """A column of a table. levels: of a category, in order; () is a number. mean, std: of a number's known values."""

    name: str
    levels: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = Field(1.0, gt=0)


class TableInput(Contract):
    """The preprocessing contract of a network on the columns of a table: (B, columns) float32 in their order; numbers
    standardised, a missing one is NaN; a category's place among its levels, -1 for one that is missing or new. () are
    the columns of a network that has met no table yet."""

    modality: Literal["table"] = "table"
    columns: tuple[Column, ...]


Input = Annotated[ImageInput | TextInput | AudioInput | TableInput, Field(discriminator="modality")]
"""The preprocessing contract of any network."""

_INPUT: TypeAdapter[Input] = TypeAdapter(Input)


def input_from_json(data: Any) -> Input:
    """The contract whose `model_dump` gave `data`. Raises pydantic's ValidationError, a ValueError."""
    return _INPUT.validate_python(data)


class Architecture(Frozen):
    """How to build the network again with random weights, without the source.

    library: the file in `headstart.sources` that builds it ("timm", "torchvision", "transformers").
    name: the library's own name of the architecture.
    options: keyword arguments of the library's builder (plain JSON).
    """

    library: str
    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class SourceCard(Frozen):
    """What is known of a source without loading it. languages: of the texts that it was trained on, "" where it is not
    of texts, or nothing is known. pretrained: whether it has learned anything that can be carried
    over; a network that has not is an architecture with random weights."""

    name: str
    modality: Literal["image", "text", "audio", "table"]
    architecture: Architecture
    input: Input
    license: str
    trained_on: str
    languages: str = ""
    origin: str
    sha256: str | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    width: int | None = None
    source_accuracy: float | None = None
    paper: str | None = None
    notes: str = ""
    pretrained: bool = True
