"""Make examples/clothing: choose the demo's photographs out of clothing-dataset-small.

Command:  python scripts/make_clothing.py FOLDER_WITH_THE_PHOTOS examples/clothing
Cost:     a few seconds
Result:   20 training, 6 validation and up to 15 test photographs of each of ten classes, about 4 MB; the same choice
          each time. Files are copied as they are. Of each class and split, the files of at most 14 kB come in the
          order of their sha256, and images that look like another one are left out.
"""

import shutil
import sys
from collections import Counter
from pathlib import Path

from headstart.data.read import read_dataset
from headstart.data.survey import survey

PER_CLASS = {"train": 20, "validation": 6, "test": 15}
MAX_BYTES = 14_000


def main(source: Path, target: Path) -> None:
    photos = read_dataset(source)
    seen = survey(photos)
    seen.require_sound()
    alike = {index for group in seen.near_duplicate_groups for index in group}
    taken: Counter[tuple[str | None, str]] = Counter()
    for _, index in sorted((digest, index) for index, digest in enumerate(seen.digests)):
        item = photos[index]
        small = len(item.content()) <= MAX_BYTES
        if item.split and small and index not in alike and taken[item.split, item.label] < PER_CLASS[item.split]:
            taken[item.split, item.label] += 1
            copy = target / item.id
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(item.content())
    shutil.copyfile(source / "LICENSE", target / "LICENSE")
    print(f"{taken.total()} photographs in {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
