"""The report in a real browser: quiet, self-contained, readable on a phone and in the dark, harmless."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from headstart.evaluation.report.content import ReportData
from headstart.evaluation.report.write import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")

NAMES = ("clothes", "binary", "many", "multilabel", "quantities", "hostile")

# The least contrast of any visible text with what lies behind it, and where (WCAG 2.1, success criterion 1.4.3).
CONTRAST = """() => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return parts.length > 3 ? parts : parts.concat(1);
  };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  let least = [99, "", ""];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, words = texts.currentNode.textContent.trim();
    if (!words || words === "·" || !element.checkVisibility() || element.tagName === "SCRIPT") continue;
    const behind = [];
    for (let e = element; e; e = e.parentElement) behind.push(parse(getComputedStyle(e).backgroundColor));
    const back = behind.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
    const [a, b] = [luminance(over(parse(getComputedStyle(element).color), back)), luminance(back)];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < least[0]) least = [ratio, words.slice(0, 40), element.className];
  }
  return least;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(reports: dict[str, ReportData], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name -> address of the report on disk."""
    folder = tmp_path_factory.mktemp("reports")
    for name in NAMES:
        write_report(folder / f"{name}.html", reports[name])
    return {name: (folder / f"{name}.html").as_uri() for name in NAMES}


class Visit:
    """One page, opened with every request but its own refused and every complaint noted."""

    def __init__(self, browser: Any, address: str, width: int = 1200, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.context.route("**/*", lambda route: self._judge(route, address))
        self.page.goto(address)

    def _judge(self, route: Any, address: str) -> None:
        if route.request.url == address:
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_quiet_self_contained_and_described(name: str, browser: Any, pages: dict[str, str]) -> None:
    with Visit(browser, pages[name]) as visit:
        assert visit.complaints == []
        assert [url for url in visit.requests if not url.startswith("data:")] == []
        assert (
            visit.page.evaluate("[...document.images].filter(i => !i.alt || !i.complete || !i.naturalWidth).length")
            == 0
        )
        assert visit.page.evaluate("document.querySelectorAll('main h2').length") >= 6
        assert visit.page.evaluate("document.querySelectorAll('script').length") == 1
        levels = visit.page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_runs_off_the_page(name: str, browser: Any, pages: dict[str, str]) -> None:
    with Visit(browser, pages[name]) as visit:
        for width in (320, 390, 768, 1200):
            visit.page.set_viewport_size({"width": width, "height": 800})
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["clothes", "hostile"])
def test_all_text_has_contrast(name: str, scheme: str, browser: Any, pages: dict[str, str]) -> None:
    with Visit(browser, pages[name], scheme=scheme) as visit:
        ratio, words, where = visit.page.evaluate(CONTRAST)
        assert ratio >= 4.5, f"{words!r} ({where}) has a contrast of {ratio:.2f}"


def test_light_and_dark_are_drawn_and_differ(browser: Any, pages: dict[str, str]) -> None:
    brightness = {}
    for scheme in ("light", "dark"):
        with Visit(browser, pages["clothes"], scheme=scheme) as visit:
            image = Image.open(io.BytesIO(visit.page.screenshot())).convert("L")
            assert len(set(image.resize((60, 40)).tobytes())) > 20, "the page is blank"
            brightness[scheme] = sum(image.resize((60, 40)).tobytes()) / 2400
    assert brightness["light"] > 200
    assert brightness["dark"] < 70


def test_the_recipe_can_be_copied(browser: Any, pages: dict[str, str], reports: dict[str, ReportData]) -> None:
    with Visit(browser, pages["clothes"]) as visit:
        button = visit.page.locator("[data-copies=recipe-text]")
        assert button.is_visible()
        visit.page.evaluate(
            "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (t) => { window.copied = t; }}})"
        )
        button.click()
        visit.page.wait_for_function("window.copied !== undefined")
        assert visit.page.evaluate("window.copied") == reports["clothes"].recipe
        assert button.inner_text() == "Copied"
        assert visit.complaints == []


def test_it_reads_without_a_script(browser: Any, pages: dict[str, str], tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["clothes"])
    assert page.locator("#recipe-text").is_visible()
    assert not page.locator(".copy").first.is_visible()
    context.close()
