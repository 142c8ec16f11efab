"""How fast pictures become features: against the bare forward pass, and stage by stage from files on a disk.

Run:     python benchmarks/extract.py DATA [--rounds 8] [--sources efficientnet-lite0 squeezenet1_1]
Cost:    about two minutes on one CPU core; more where other processes want the cores, see OMP_NUM_THREADS
Expect:  extraction from decoded pictures in memory at 90 % or more of the best bare forward pass, and above 100 % where
         the network normalises in batches; large photos decoded two to three times as fast, features alike to 0.99

The bare forward pass is what a careful engineer writes: the network in eval mode and inference mode on batches that are
normalised already, in the best of precision, memory layout, batch size and number of threads, each of which is tried
here. Rounds are interleaved, and the fastest round of each counts, for the machine may have other work. Freed memory is
kept for both sides (`nn/memory.py`).
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from common import RESULTS, machine, markdown
from PIL import Image
from torch import Tensor
from torch.nn.functional import cosine_similarity

from headstart.core.card import ImageInput
from headstart.data.dataset import Dataset, Item
from headstart.data.images import centre, picture, read_image
from headstart.data.kept import Kept
from headstart.data.loader import Batches
from headstart.data.transforms.image import normalise, to_tensor
from headstart.features.extract import BATCH, extract, trusted_precision
from headstart.nn.device import Precision, autocast, resolve_precision
from headstart.nn.encoder import Encoder
from headstart.nn.memory import keep_freed_memory
from headstart.sources import PACKS

CPU = torch.device("cpu")
SIZES = (8, 16, 32, 64, 128)
LARGE = (700, 1100, 2100, 3000)


def fastest(ways: dict[str, Callable[[], object]], rounds: int, items: int) -> dict[str, dict[str, float]]:
    """Items a second of each way, in the fastest of some interleaved rounds and in the median one."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            before = time.perf_counter()
            way()
            if number:  # the first warms up
                rates[name].append(items / (time.perf_counter() - before))
    return {name: {"best": max(of), "median": statistics.median(of)} for name, of in rates.items()}


def cut(batch: Tensor, size: int) -> list[Tensor]:
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def bare(encoder: Encoder, ready: Tensor, precision: Precision, layout: str, size: int) -> Callable[[], None]:
    """The forward pass alone, over batches (size, 3, H, W) that are normalised."""
    form = torch.channels_last if layout == "channels last" else torch.contiguous_format
    batches = [part.contiguous(memory_format=form) for part in cut(ready, size)]

    def way() -> None:
        encoder.to(memory_format=form)
        with torch.inference_mode(), autocast(CPU, precision):
            for batch in batches:
                encoder(batch).pooled.float().numpy()

    return way


def with_threads(threads: int, way: Callable[[], object]) -> Callable[[], None]:
    def limited() -> None:
        torch.set_num_threads(threads)
        way()

    return limited


def against_bare(name: str, paths: list[Path], rounds: int) -> dict[str, Any]:
    """Rates of the bare pass in every number format, layout and number of threads, then, at the best of these, with
    every batch size, beside extraction from decoded pictures in memory."""
    source = PACKS[name]
    contract = source.card.input
    assert isinstance(contract, ImageInput)
    encoder = source.load().eval()
    items = tuple(Item(str(path), path) for path in paths[: max(SIZES)])
    pictures = Batches(Dataset("photos", items), None, contract).evaluation(range(len(items)))
    ready = normalise(pictures, contract)
    precision = trusted_precision(encoder, ready[:8], CPU, resolve_precision("auto", CPU))
    cores = torch.get_num_threads()
    threads = sorted({1, cores})
    precisions: list[Precision] = sorted({"float32", precision})

    def ours() -> None:
        batches = iter(cut(pictures, BATCH))
        list(extract(encoder, batches, lambda b: normalise(b, contract), device=CPU, precision=precision))

    ways: dict[str, Callable[[], object]] = {}
    settings: dict[str, tuple[Precision, str, int]] = {}
    for kind, layout, count in product(precisions, ("contiguous", "channels last"), threads):
        label = f"{kind}, {layout}, threads {count}"
        settings[label] = kind, layout, count
        ways[label] = with_threads(count, bare(encoder, ready, kind, layout, BATCH))
    formats = fastest(ways, 2, len(items))
    chosen = max(formats, key=lambda way: formats[way]["best"])
    kind, layout, count = settings[chosen]
    ways = {f"batch {size}": with_threads(count, bare(encoder, ready, kind, layout, size)) for size in SIZES}
    ways["extract"] = with_threads(count, ours)
    sizes = fastest(ways, rounds, len(items))
    torch.set_num_threads(cores)
    best = max((way for way in sizes if way != "extract"), key=lambda way: sizes[way]["best"])
    return {
        "formats": formats,
        "chosen": chosen,
        "sizes": sizes,
        "best": best,
        "extract": sizes["extract"]["best"],
        "share": sizes["extract"]["best"] / sizes[best]["best"],
    }


def stages(name: str, paths: list[Path], rounds: int) -> dict[str, float]:
    """Milliseconds an item of every stage on the way from files on the disk, one core, in the fastest round; and of
    the whole way as it is gone, with all cores."""
    source = PACKS[name]
    contract = source.card.input
    assert isinstance(contract, ImageInput)
    encoder = source.load().eval()
    paths = paths[: 2 * BATCH]
    data = [path.read_bytes() for path in paths]
    images = [read_image(content, "photo", short=contract.resize)[0] for content in data]
    views = [centre(picture(image, contract), contract) for image in images]
    batches = cut(to_tensor(np.stack(views)), BATCH)
    ready = [normalise(batch, contract) for batch in batches]
    precision = trusted_precision(encoder, ready[0][:8], CPU, resolve_precision("auto", CPU))

    def whole() -> None:
        items = tuple(Item(str(path), path) for path in paths)
        made = Batches(Dataset("photos", items), Kept(contract, memory_limit=0), contract)
        list(extract(encoder, made.evaluations(size=BATCH), made.prepare, device=CPU, precision=precision))

    def forward() -> None:
        list(extract(encoder, iter(ready), lambda batch: batch, device=CPU, precision=precision))

    ways: dict[str, Callable[[], object]] = {
        "read": lambda: [path.read_bytes() for path in paths],
        "decode": lambda: [read_image(content, "photo", short=contract.resize) for content in data],
        "resize": lambda: [centre(picture(image, contract), contract) for image in images],
        "stack": lambda: to_tensor(np.stack(views)),
        "normalise": lambda: [normalise(batch, contract) for batch in batches],
        "forward": forward,
    }
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    rates = fastest(ways, rounds, len(paths))
    torch.set_num_threads(cores)
    rates |= fastest({"all of it, all cores": whole}, rounds, len(paths))
    return {way: 1000 / rate["best"] for way, rate in rates.items()}


def large_photo(path: Path, short: int) -> bytes:
    """A JPEG of a photo scaled up to `short` pixels, with noise at its own scale as a camera's sensor gives."""
    image = Image.open(path).convert("RGB")
    scale = short / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(0).normal(0, 4, (image.height, image.width, 1))
    noisy = (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "JPEG", quality=90)
    return out.getvalue()


def large(name: str, paths: list[Path], photos: int = 12) -> list[dict[str, float]]:
    """Large JPEG files decoded whole and smaller: milliseconds of one core, and cosine similarities of features."""
    source = PACKS[name]
    contract = source.card.input
    assert isinstance(contract, ImageInput)
    encoder = source.load().eval()
    rows = []
    for side in LARGE:
        data = [large_photo(path, side) for path in paths[:: max(1, len(paths) // photos)][:photos]]
        found: dict[str, Tensor] = {}
        seconds: dict[str, float] = {}
        for way, short in (("whole", None), ("smaller", contract.resize)):
            before = time.thread_time()
            pictures = [picture(read_image(content, "photo", short=short)[0], contract) for content in data]
            seconds[way] = time.thread_time() - before
            ready = normalise(to_tensor(np.stack([centre(p, contract) for p in pictures])), contract)
            with torch.inference_mode():
                found[way] = encoder(ready).pooled
        alike = cosine_similarity(found["whole"], found["smaller"])
        rows.append(
            {
                "short side": side,
                "whole": 1000 * seconds["whole"] / len(data),
                "smaller": 1000 * seconds["smaller"] / len(data),
                "least alike": float(alike.min()),
                "median alike": float(alike.median()),
            }
        )
    return rows


def rate(found: dict[str, float] | None) -> str:
    return "-" if found is None else f"{found['best']:.0f}"


def natural(words: str) -> list[tuple[int, str]]:
    """Sorts numbers in words by their size."""
    return [(int(word) if word.isdigit() else 0, word) for word in words.split()]


def table(result: dict[str, Any]) -> str:
    """All of it as Markdown."""
    facts = result["machine"]
    against = result["against bare"]
    names = list(against)
    rows = [
        [
            f"{name}: {found['chosen']}, {found['best']}",
            f"{found['sizes'][found['best']]['best']:.0f}",
            f"{found['extract']:.0f}",
            f"{found['share']:.0%}",
        ]
        for name, found in against.items()
    ]
    parts = [markdown(["items a second from memory", "bare forward pass", "extract", "share"], rows)]
    for kind in ("formats", "sizes"):
        settings = sorted({way for found in against.values() for way in found[kind]}, key=natural)
        rows = [[way, *(rate(found[kind].get(way)) for found in against.values())] for way in settings]
        parts.append(markdown(["items a second", *names], rows))
    rows = [[stage, *(f"{result['stages'][n][stage]:.2f}" for n in names)] for stage in result["stages"][names[0]]]
    parts.append(markdown(["ms an item, from files", *names], rows))
    rows = [
        [
            f"{name}, {row['short side']} pixels",
            f"{row['whole']:.1f}",
            f"{row['smaller']:.1f}",
            f"{row['whole'] / row['smaller']:.1f}x",
            f"{row['least alike']:.4f}",
            f"{row['median alike']:.4f}",
        ]
        for name, found in result["large"].items()
        for row in found
    ]
    header = ["JPEG, short side", "whole, ms", "smaller, ms", "times as fast", "least cosine", "median cosine"]
    parts.append(markdown(header, rows))
    packages = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
    parts.append(
        f"{result['rounds']} interleaved rounds, the fastest of each; load {result['load'][0]:.1f} before and "
        f"{result['load'][1]:.1f} after. {result['data']}, {facts['cpu']}, "
        f"{facts['cores']} cores, {facts['memory_gb']} GB; "
        f"Python {facts['python']}, {packages}; {facts['date']}, commit {facts['commit']}.\n"
    )
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with photos in JPEG files, at any depth")
    parser.add_argument("--rounds", type=int, default=8, help="of each way, interleaved, after one that does not count")
    parser.add_argument("--sources", nargs="+", default=["efficientnet-lite0", "squeezenet1_1"])
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "extract.json", help="the result as JSON; a .md goes beside it"
    )
    args = parser.parse_args()
    keep_freed_memory()
    found = sorted(args.data.rglob("*.jpg"))
    paths = found[:: max(1, len(found) // max(SIZES))][: max(SIZES)]
    load = [psutil.getloadavg()[0]]
    against = {name: against_bare(name, paths, args.rounds) for name in args.sources}
    result: dict[str, Any] = {
        "data": args.data.resolve().name,
        "rounds": args.rounds,
        "machine": machine(),
        "against bare": against,
        "stages": {name: stages(name, paths, args.rounds) for name in args.sources},
        "large": {name: large(name, paths) for name in args.sources},
    }
    result["load"] = [*load, psutil.getloadavg()[0]]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    args.out.with_suffix(".md").write_text(table(result))
    print(table(result))


if __name__ == "__main__":
    main()
