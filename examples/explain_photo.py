"""Where a model looks: a clothing photo explained by Grad-CAM, as a drawing here and as a page in `why.html`.

Run:     python examples/explain_photo.py
Cost:    about 20 seconds on 2 CPU cores
Expect:  a 7 x 7 drawing per photo, darkest on the garment, and runs/examples/explain_photo/why.html
"""

from __future__ import annotations

from pathlib import Path

import headstart

CLOTHING = Path(__file__).parent / "clothing"


def main() -> None:
    run = headstart.fit(CLOTHING, method="probe", out="runs/examples/explain_photo", overwrite=True)
    photos = sorted((CLOTHING / "test").rglob("*.jpg"))[::50]
    for found in headstart.explain(run.path, photos, out=run.path / "why.html"):
        print(f"\n{found.input}: {found.label}, by {found.method}")
        if found.evidence is not None:
            print("\n".join(found.evidence.lines()))


if __name__ == "__main__":
    main()
