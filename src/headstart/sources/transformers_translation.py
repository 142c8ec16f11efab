"""Translation models among those of Hugging Face transformers: Marian and its kin, from one language into another."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError

from headstart.core.errors import OfflineError, SourceError
from headstart.core.extras import require
from headstart.nn.device import best_device
from headstart.sources import huggingface_hub
from headstart.sources.transformers import the_library

CONFIG: Final = "config.json"
WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
"""Either; of a torch checkpoint the tensors alone are read."""
SENTENCEPIECE: Final = ("source.spm", "sentencepiece.bpe.model", "spiece.model")
TOKENIZERS: Final = ("tokenizer.json", *SENTENCEPIECE)
"""Any of them."""
OTHERS: Final = (
    *TOKENIZERS,
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "target.spm",
    "target_vocab.json",
    "tokenizer_config.json",
    "vocab.json",
)
"""What a tokenizer may be made of, and how the model is to be asked."""
TOGETHER: Final = 16
STEP: Final = 8
"""Lengths are rounded up to a multiple of this, so that few differ."""
LENGTH: Final = 512
"""Tokens of a sentence that are seen, where the tokenizer does not say less."""

_DENSE: Final = ("。", "！", "？")
"""Ends of sentences that no space follows."""
_END: Final = re.compile(rf"(?<=[.!?…])\s+|(?<=[{''.join(_DENSE)}])|\n+")


class TranslationModel:
    """Texts in one language -> the same in another. Constructing one reads its files' hashes and loads nothing more.

    name: a repository of the hub ("Helsinki-NLP/opus-mt-en-de") or a folder that `save_pretrained` wrote.

    Raises OfflineError or SourceError at once where it is not on this machine and cannot be fetched.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = _local(name) if Path(name).is_dir() else _fetched(name)

    @cached_property
    def digest(self) -> str:
        """sha256 over its files: two models that have this in common translate alike."""
        total = hashlib.sha256()
        for file in (CONFIG, *WEIGHTS, *OTHERS):
            if (self._folder / file).is_file():
                with (self._folder / file).open("rb") as stream:
                    total.update(f"{file} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
        return total.hexdigest()

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Sentence by sentence, since that is what such models were trained on, by the search that the model asks
        for: the same every time, whatever else is translated with it."""
        sentences = [[part for part in _END.split(text) if part.strip()] for text in texts]
        found: dict[str, str] = {}
        for some in self._together({part for parts in sentences for part in parts}):
            found |= zip(some, self._translated(some), strict=True)
        return [_joined([found[part] for part in parts]) for parts in sentences]

    def _together(self, sentences: Iterable[str]) -> Iterator[list[str]]:
        """Sentences of one rounded length: what comes of one does not depend on the padding that others need."""
        alike: dict[int, list[str]] = {}
        for sentence in sorted(sentences):
            alike.setdefault(self._tokens([sentence])["input_ids"].shape[1], []).append(sentence)
        for _, group in sorted(alike.items()):
            yield from (group[start : start + TOGETHER] for start in range(0, len(group), TOGETHER))

    def _tokens(self, sentences: list[str]) -> Any:
        tokenizer, _ = self._loaded
        length = min(tokenizer.model_max_length, LENGTH)
        return tokenizer(
            sentences, return_tensors="pt", padding=True, pad_to_multiple_of=STEP, truncation=True, max_length=length
        )

    def _translated(self, sentences: list[str]) -> list[str]:
        tokenizer, network = self._loaded
        tokens = self._tokens(sentences)
        given = {name: tokens[name].to(network.device) for name in ("input_ids", "attention_mask")}
        most = min(2 * given["input_ids"].shape[1] + 16, LENGTH - 1)
        with torch.inference_mode():
            made = network.generate(**given, do_sample=False, max_length=None, max_new_tokens=most)
        texts: list[str] = tokenizer.batch_decode(made, skip_special_tokens=True)
        return [text.strip() for text in texts]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        library = the_library("back-translation")
        if not (self._folder / TOKENIZERS[0]).is_file():
            require("sentencepiece", "translation", f"the tokenizer of {self.name}")
        try:
            with torch.random.fork_rng(devices=[]):
                tokenizer = library.AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
                network = library.AutoModelForSeq2SeqLM.from_pretrained(
                    self._folder, local_files_only=True, dtype=torch.float32
                )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise SourceError(
                f"translation model {self.name!r} cannot be loaded: {reason} Expected a sequence-to-sequence model of "
                "transformers with its tokenizer, such as Helsinki-NLP/opus-mt-en-de."
            ) from None
        return tokenizer, network.to(best_device()).eval()


def _joined(sentences: Sequence[str]) -> str:
    return "".join(part if part.endswith(_DENSE) else f"{part} " for part in sentences if part).rstrip()


def _local(name: str) -> Path:
    folder = Path(name)
    lacking = [] if (folder / CONFIG).is_file() else [CONFIG]
    for files in (WEIGHTS, TOKENIZERS):
        lacking += [] if any((folder / file).is_file() for file in files) else [" or ".join(files)]
    if lacking:
        raise SourceError(
            f"translation model {name!r}: the folder has no {' and no '.join(lacking)}. Expected what save_pretrained "
            "of a model and of its tokenizer wrote."
        )
    return folder


def _fetched(name: str) -> Path:
    """The folder of the hub's cache that holds a repository, all of whose files we need are there afterwards."""
    found = huggingface_hub.cached(name, CONFIG)
    if found is not None and any(huggingface_hub.cached(name, file) for file in WEIGHTS):
        return found.parent
    try:
        folder = huggingface_hub.fetch(name, CONFIG, name).parent
        for file in OTHERS:
            with contextlib.suppress(SourceError):  # no model has all of them
                huggingface_hub.fetch(name, file, name)
        try:
            huggingface_hub.fetch(name, WEIGHTS[0], name)
        except SourceError:
            huggingface_hub.fetch(name, WEIGHTS[1], name)
    except OfflineError:
        raise OfflineError(
            f"translation model {name!r} is not on this machine and the hub cannot be reached. Give the folder of a "
            "model that save_pretrained wrote, or leave out augment.back_translation."
        ) from None
    return folder
