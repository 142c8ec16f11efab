"""Questions answered by spans of a text: JSON in the form of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018)."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from headstart.core.errors import DataError, some
from headstart.data.dataset import Dataset, Finding, Item, LabelKind, printable
from headstart.data.encodings import encoding_finding, read_text
from headstart.data.readers.base import Columns, Reader
from headstart.data.readers.files import domain_of, refuse_columns, role_of, walk

_SAMPLE: Final = 65_536
_EXPECTED: Final = "Expected SQuAD's form: {'data': [{'paragraphs': [{'context': ..., 'qas': [...]}]}]}."


@dataclass(frozen=True, slots=True)
class Question:
    """answers: (start, text) each, () where the context holds none, None where they are not given.
    article: its rank in the file. impossible: said to have no answer."""

    id: str
    text: str
    context: str
    answers: tuple[tuple[int, str], ...] | None
    impossible: bool
    article: int
    title: str


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """An answer that is not where it is said to be. places: where in the context its text stands."""

    item: str
    start: int
    text: str
    places: tuple[int, ...]


class SquadReader(Reader):
    """One file (.json, .json.gz), or a folder of them: names tell the split (dev-v2.0.json), else the domain
    (xquad.de.json and xquad.zh.json: "de", "zh").

    Questions on one article share a group, as do those on one context wherever it stands, and translations of one
    question: files with the same ids in the same order. Where all would be one group, contexts alone are.
    """

    form = "a SQuAD file (.json, of contexts, questions and answers), or a folder of such files"

    def accepts(self, data: str) -> bool:
        """Other JSON ends in .json, too, so "paragraphs" must stand in the file's beginning."""
        path = Path(data)
        return _is_squad(path) if path.is_file() else path.is_dir() and any(map(_is_squad, walk(path)))

    def read(self, data: str, columns: Columns) -> Dataset:
        refuse_columns(columns, "a SQuAD file", "answers")
        root = Path(data)
        single = root.is_file()
        paths = [Path(root.name)] if single else [p.relative_to(root) for p in walk(root) if _is_squad(p)]
        base = root.parent if single else root
        findings: list[Finding] = []
        files: list[list[Question]] = []
        for path in paths:
            text, encoding = read_text(base / path)
            findings += encoding_finding(printable(path.as_posix()), encoding)
            files.append(list(_questions(base / path, text)))
        domains = [None] if single else _domains(paths)
        groups = iter(_groups(files))
        items: list[Item] = []
        impossible: list[str] = []
        seen: Counter[str] = Counter()
        for path, domain, questions in zip(paths, domains, files, strict=True):
            start = "" if len(paths) == 1 else printable(path.as_posix()) + " "
            for question in questions:
                key = start + printable(question.id)
                seen[key] += 1
                item = Item(
                    id=key if seen[key] == 1 else f"{key} ({seen[key]})",
                    input=(question.text, question.context),
                    label=() if question.impossible else question.answers,
                    split=None if single else role_of(path),
                    group=next(groups),
                    domain=domain,
                )
                items.append(item)
                impossible += [item.id] if question.impossible and question.answers else []
        if not items:
            raise DataError(f"{root} holds no question. {_EXPECTED}")
        name = printable(root.resolve().name or str(root))
        kind: LabelKind = "answers" if any(item.label is not None for item in items) else "none"
        dataset = Dataset(name, tuple(items), "text", kind)
        findings += _repeated(seen) + _contradictory(impossible)
        return replace(dataset, findings=(*findings, *_empty(items), *_misplaced(dataset)))


def wrong_answers(dataset: Dataset) -> list[WrongAnswer]:
    """The answers whose text does not stand at their start in the context."""
    found = []
    for item in dataset.items:
        _, context = cast(tuple[str, str], item.input)
        for start, text in item.label or ():
            if start < 0 or not context.startswith(text, start):
                places = tuple(match.start() for match in re.finditer(f"(?={re.escape(text)})", context))
                found.append(WrongAnswer(item.id, start, text, places))
    return found


# -- files --------------------------------------------------------------------------------------------------------


def _is_squad(path: Path) -> bool:
    name = path.name.lower()
    if not name.endswith((".json", ".json.gz")):
        return False
    try:
        with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
            return b'"paragraphs"' in file.read(_SAMPLE)
    except (OSError, EOFError, zlib.error):
        return False


def _domains(paths: Sequence[Path]) -> list[str | None]:
    """Of each file: its folders; in the data's own folder, what tells its name from others that name no split."""
    words = {
        path: re.split(r"[\W_]+", re.sub(r"\.json(\.gz)?$", "", path.name, flags=re.IGNORECASE))
        for path in paths
        if role_of(path) is None and path.parent == Path()
    }
    shared = set.intersection(*map(set, words.values())) if words else set()
    own = {path: printable("-".join(w for w in several if w not in shared)) for path, several in words.items()}
    return [own.get(path) or domain_of(path) for path in paths]


def _questions(path: Path, text: str) -> Iterator[Question]:
    """Raises DataError naming the line, or the place in the structure, that is broken."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path} line {error.lineno} is not JSON: {error.msg}. {_EXPECTED}") from None
    except RecursionError:
        raise DataError(f"{path} is nested too deeply. {_EXPECTED}") from None
    where = f"{path}"
    for a, article in enumerate(_get(content, "data", list, where)):
        where = f"{path} article {a}"
        title = article.get("title") if isinstance(article, dict) else None
        for p, paragraph in enumerate(_get(article, "paragraphs", list, where)):
            where = f"{path} article {a} paragraph {p}"
            context = _get(paragraph, "context", str, where)
            for q, asked in enumerate(_get(paragraph, "qas", list, where)):
                where = f"{path} article {a} paragraph {p} question {q}"
                yield Question(
                    id=str(asked["id"]) if isinstance(asked, dict) and "id" in asked else f"question {a}.{p}.{q}",
                    text=_get(asked, "question", str, where),
                    context=context,
                    answers=_answers(asked, where),
                    impossible=bool(asked.get("is_impossible")),
                    article=a,
                    title=title if isinstance(title, str) else "",
                )


def _answers(asked: dict[str, Any], where: str) -> tuple[tuple[int, str], ...] | None:
    if "answers" not in asked:
        return None
    given = _get(asked, "answers", list, where)
    return tuple((_get(a, "answer_start", int, where), _get(a, "text", str, where)) for a in given)


def _get(value: Any, key: str, kind: type, where: str) -> Any:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        words = {list: "a list", str: "a text", int: "a whole number"}[kind]
        raise DataError(f"{where}: {key!r} is not {words}. {_EXPECTED}")
    return found


# -- what belongs together ----------------------------------------------------------------------------------------


def _groups(files: Sequence[Sequence[Question]]) -> list[str]:
    """The group of every question, in order: by articles, or by contexts where that leaves one group only."""
    by_context: list[list[tuple[Any, ...]]] = []
    by_article: list[list[tuple[Any, ...]]] = []
    for number, questions in enumerate(files):
        ids = tuple(question.id for question in questions)
        for question in questions:
            same = [("context", question.context), ("question", ids, question.id)]
            by_context.append(same)
            article = [("article", number, question.article)]
            by_article.append(same + article + ([("title", question.title)] if question.title else []))
    groups = _joined(by_article)
    return groups if len(set(groups)) > 1 else _joined(by_context)


def _joined(keys: Iterable[Sequence[tuple[Any, ...]]]) -> list[str]:
    """One name for each row of keys, the same where rows share a key, by themselves or through others."""
    parent: dict[int, int] = {}
    first: dict[tuple[Any, ...], int] = {}

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for row, several in enumerate(keys):
        parent[row] = row
        for key in several:
            one, other = sorted((root(first.setdefault(key, row)), root(row)))
            parent[other] = one
    names: dict[int, str] = {}
    return [names.setdefault(root(row), f"text {len(names) + 1}") for row in parent]


# -- findings -----------------------------------------------------------------------------------------------------


def _misplaced(dataset: Dataset) -> Iterator[Finding]:
    wrong = wrong_answers(dataset)
    moved = [answer for answer in wrong if answer.places]
    absent = [answer for answer in wrong if not answer.places]
    if moved:
        shown = some(dict.fromkeys(map(_moved, moved)))
        once = sum(len(answer.places) == 1 for answer in moved)
        message = (
            f"{len(moved)} answer(s) do not stand at their answer_start, {once} of which stand at one other place "
            f"alone: {shown}. Count characters from 0, and correct them."
        )
        yield Finding("error", "answer-start", message, _ids(moved))
    if absent:
        shown = some(dict.fromkeys(f"{answer.item}: {printable(answer.text)!r}" for answer in absent))
        message = (
            f"{len(absent)} answer(s) do not stand in their context at all: {shown}. Give the words that stand there, "
            "or remove the answers."
        )
        yield Finding("error", "answer-absent", message, _ids(absent))


def _moved(answer: WrongAnswer) -> str:
    stands = f"{answer.item}: {printable(answer.text)!r} is not at {answer.start} but at "
    if len(answer.places) == 1:
        return f"{stands}{answer.places[0]} (set answer_start to {answer.places[0]})"
    return stands + " and ".join(map(str, answer.places))


def _ids(answers: Iterable[WrongAnswer]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(answer.item for answer in answers))


def _empty(items: Sequence[Item]) -> Iterator[Finding]:
    ids = [
        item.id
        for item in items
        if not all(text.strip() for text in (*cast(tuple[str, str], item.input), *(t for _, t in item.label or ())))
    ]
    if ids:
        message = f"{len(ids)} item(s) have an empty question, context or answer: {some(ids)}. Fill or remove them."
        yield Finding("error", "empty-text", message, tuple(ids))


def _contradictory(ids: Sequence[str]) -> list[Finding]:
    if not ids:
        return []
    message = f"{len(ids)} question(s) have answers and are said to be impossible: {some(ids)}. Correct one of the two."
    return [Finding("error", "impossible-answered", message, tuple(ids))]


def _repeated(seen: Counter[str]) -> list[Finding]:
    ids = [key for key, times in seen.items() if times > 1]
    if not ids:
        return []
    message = f"{len(ids)} id(s) belong to several questions: {some(ids)}. Give each question its own."
    return [Finding("warning", "repeated-ids", message, tuple(ids))]
