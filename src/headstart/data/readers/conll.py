"""Words and their tags as CoNLL's shared tasks wrote them: one word a line, a blank line between sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headstart.core.errors import DataError, some
from headstart.data.dataset import Dataset, Finding, Item, printable
from headstart.data.encodings import encoding_finding, read_text
from headstart.data.readers.base import Columns, Reader
from headstart.data.readers.files import domain_of, refuse_columns, role_of, walk
from headstart.metrics.spans import iob_violations, scheme_of

_ALWAYS: Final = (".conll", ".iob", ".iob1", ".iob2", ".iobes", ".bio", ".bioes", ".bilou", ".bmes")
_PERHAPS: Final = (".txt", ".tsv", ".annotated", ".train", ".dev", ".test", ".testa", ".testb")
_TAG: Final = re.compile(r"O|[BIESLUM]-.+")
_DOCUMENT: Final = "-DOCSTART-"
_SAMPLE: Final = 65_536


@dataclass
class Sentence:
    """One sentence. line: of its first word, those of the others follow; rows: the columns of each word."""

    line: int
    document: int = 0
    rows: list[list[str]] = field(default_factory=list)


class ConllReader(Reader):
    """The word is in the first column, its tag in the last; columns are separated by tabs or else by spaces.

    Comments before a sentence are skipped. Sentences of one -DOCSTART- document share a group. The words of a file's
    name tell its split (`emerging.test.annotated`), folders above it its domain. A file with one column has no tags.
    """

    form = (
        "CoNLL files (one word a line with its tag in the last column), or a folder with train and test files of them"
    )

    def accepts(self, data: str) -> bool:
        """Endings that CoNLL files share with other text (.txt) also need tags in the file's first lines."""
        path = Path(data)
        return _is_conll(path) if path.is_file() else path.is_dir() and any(map(_is_conll, walk(path)))

    def read(self, data: str, columns: Columns) -> Dataset:
        refuse_columns(columns, "a CoNLL file", "tags")
        root = Path(data)
        single = root.is_file()
        findings: list[Finding] = []
        items: list[Item] = []
        for path in [root] if single else filter(_is_conll, walk(root)):
            relative = Path(root.name) if single else path.relative_to(root)
            name = printable(relative.as_posix())
            text, encoding = read_text(path)
            findings += encoding_finding(name, encoding)
            sentences = _sound(name, list(_sentences(text)), findings)
            several = any(sentence.document for sentence in sentences)
            items += [
                Item(
                    id=f"{name} line {sentence.line}",
                    input=tuple(row[0] for row in sentence.rows),
                    label=tuple(row[-1] for row in sentence.rows) if len(sentence.rows[0]) > 1 else None,
                    split=None if single else role_of(relative),
                    group=f"{name} document {sentence.document}" if several else None,
                    domain=None if single else domain_of(relative),
                )
                for sentence in sentences
            ]
        if not items and not findings:
            raise DataError(f"{root} holds no sentence. Expected one word a line, its tag in the last column.")
        tagged = any(item.label is not None for item in items)
        name = printable(root.resolve().name or str(root))
        findings += _tag_findings(items)
        return Dataset(name, tuple(items), "text", "tags" if tagged else "none", findings=tuple(findings))


def _is_conll(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in _ALWAYS:
        return True
    if suffix not in _PERHAPS:
        return False
    try:
        with path.open("rb") as file:
            sample = file.read(_SAMPLE)
    except OSError:
        return False
    whole = sample if len(sample) < _SAMPLE else sample[: sample.rfind(b"\n")]
    rows = [row for sentence in _sentences(whole.decode(errors="replace")) for row in sentence.rows]
    return bool(rows) and sum(len(row) > 1 and bool(_TAG.fullmatch(row[-1])) for row in rows) > 0.9 * len(rows)


def _sentences(text: str) -> Iterator[Sentence]:
    """Sentences as they stand, whatever the number of columns."""
    lines = [line.rstrip(" \t\r") for line in text.split("\n")]
    filled = [line for line in lines if line]
    by_tab = 2 * sum("\t" in line for line in filled) > len(filled)

    def columns(line: str) -> list[str]:
        return line.split("\t") if by_tab else re.split("[ \t]+", line)

    widths = Counter(len(columns(line)) for line in filled)
    width = max(widths, key=lambda n: (widths[n], n), default=0)
    document, sentence = 0, None
    for number, line in enumerate([*lines, ""], start=1):
        row = columns(line)
        begins = sentence is None
        if not line or row[0] == _DOCUMENT:
            if sentence is not None:
                yield sentence
            sentence = None
            document += bool(line)
        elif not (begins and line.startswith("#") and _is_comment(line, row, width)):
            sentence = sentence or Sentence(number, document)
            sentence.rows.append(row)


def _is_comment(line: str, row: Sequence[str], width: int) -> bool:
    """Of a line that begins with #: a word such as #fail has as many columns as the others, or a tag."""
    return len(row) != width or (line.startswith("# ") and not _TAG.fullmatch(row[-1]))


def _sound(name: str, sentences: list[Sentence], findings: list[Finding]) -> list[Sentence]:
    """The sentences whose words all have the columns that most of the file has; the others are an error."""
    widths = Counter(len(row) for sentence in sentences for row in sentence.rows)
    if not widths:
        return []
    width = max(widths, key=lambda n: (widths[n], n))
    sound: list[Sentence] = []
    wrong: list[str] = []
    ids: list[str] = []
    for sentence in sentences:
        bad = [
            f"line {line} has {len(row)} column(s)" if len(row) != width else f"line {line} has an empty one"
            for line, row in enumerate(sentence.rows, start=sentence.line)
            if len(row) != width or not row[0] or not row[-1]
        ]
        if bad:
            wrong += bad
            ids.append(f"{name} line {sentence.line}")
        else:
            sound.append(sentence)
    if wrong:
        message = (
            f"{name} has {width} column(s), but {some(wrong)}. Give every word its tag, and put a blank line between "
            "sentences."
        )
        findings.append(Finding("error", "columns", message, tuple(ids)))
    return sound


def _tag_findings(items: Sequence[Item]) -> Iterator[Finding]:
    """Tags that break the scheme which most follow; nothing where tags are of another sort (parts of speech)."""
    tagged = [item for item in items if item.label]
    count = Counter(tag for item in tagged for tag in item.label)
    if sum(n for tag, n in count.items() if _TAG.fullmatch(tag)) <= 0.9 * count.total():
        return
    strange = [
        (f"{_place(item, position)}: {tag!r}", item.id)
        for item in tagged
        for position, tag in enumerate(item.label)
        if not _TAG.fullmatch(tag)
    ]
    if strange:
        message = (
            f"{len(strange)} tag(s) are neither O nor a letter, a hyphen and a type, as B-PER is: "
            f"{some(place for place, _ in strange)}. Correct them."
        )
        yield Finding("error", "tag", message, tuple(dict.fromkeys(name for _, name in strange)))
        return
    scheme = scheme_of(item.label for item in tagged)
    broken = [
        (f"{_place(item, position)}: {reason}", item.id)
        for item in tagged
        for position, reason in iob_violations(item.label, scheme)
    ]
    if broken:
        message = (
            f"{len(broken)} tag(s) break the scheme {scheme.upper()}: {some(place for place, _ in broken)}. An entity "
            "was taken to begin at each tag that has nothing to go on with; correct the tags if they mean otherwise."
        )
        yield Finding("warning", "iob-violation", message, tuple(dict.fromkeys(name for _, name in broken)))


def _place(item: Item, position: int) -> str:
    start, _, line = item.id.rpartition(" ")
    return f"{start} {int(line) + position}"
