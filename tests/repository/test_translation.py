"""README_PORTUGUES.md keeps pace with README.md: compared section by section, by everything but the words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.repository.tree import ROOT

ENGLISH, PORTUGUESE = Path("README.md"), Path("README_PORTUGUES.md")
# What ends a paragraph or an item besides an empty line.
_STARTS = r"(?:```|\||\#{1,6}\ |[ ]*(?:[-*]|\d+\.)\ )"
_BLOCK = re.compile(
    rf"""
    ^```\w*\n(?P<code>(?s:.*?))^```$
    | ^(?P<level>\#{{1,6}})\ (?P<heading>.+)$
    | (?P<table>(?:^\|.*(?:\n|\Z))+)
    | (?P<item>^[ ]*(?:[-*]|\d+\.)\ .*(?:\n|\Z)(?:^(?!{_STARTS}).+(?:\n|\Z))*)
    | (?P<paragraph>(?:^(?!{_STARTS}).+(?:\n|\Z))+)
    """,
    re.MULTILINE | re.VERBOSE,
)
_COMMENT = re.compile(r"(?:^|\s+)#\s.*")
_TARGET = re.compile(r"\]\(([^)\s]+)\)")
_INLINE_CODE = re.compile(r"`([^`]+)`")
# Not those within a name, such as S3 or AI4I.
_NUMBER = re.compile(r"(?<!\w)\d+(?:[.,]\d+)*(?!\w)")
SAMPLE = """# Pump

[Português](README_PORTUGUES.md)

It pumps 0.5 litres. See [the manual](docs/manual.md).

## Start

```sh
pump start   # turns it on
pump log
```

- Set `RATE`.
- Then wait.

## Parts

| part | weight |
|---|---|
| wheel | 1,200 |

The last word.
"""
TRANSLATED = """# Bomba

[English](README.md)

Ela bombeia 0,5 litro. Veja [o manual](docs/manual.md).

## Partida

```sh
pump start   # liga
pump log
```

- Defina `RATE`.
- Depois espere.

## Peças

| peça | peso |
|---|---|
| rotor | 1.200 |

A última palavra.
"""


class Shape(NamedTuple):
    """What a section keeps in every language; each field in the order of the text, or sorted where that may differ."""

    level: tuple[int]
    blocks: tuple[str, ...]
    code: tuple[str, ...]
    links: tuple[str, ...]
    names: tuple[str, ...]
    numbers: tuple[str, ...]


class Section(NamedTuple):
    """A heading and what stands below it, up to the next heading of any level."""

    title: str
    shape: Shape


def sections(text: str) -> list[Section]:
    """The sections in order; what stands before the first heading has an empty title and level 0."""
    found: list[tuple[str, int, list[re.Match[str]]]] = [("", 0, [])]
    for block in _BLOCK.finditer(text):
        if block["heading"]:
            found.append((block["heading"], len(block["level"]), []))
        else:
            found[-1][2].append(block)
    return [Section(title, _shape(level, blocks)) for title, level, blocks in found]


def _shape(level: int, blocks: list[re.Match[str]]) -> Shape:
    prose = "".join(block[0] for block in blocks if block["code"] is None)
    links = set(_TARGET.findall(prose)) - {str(ENGLISH), str(PORTUGUESE)}
    words = _INLINE_CODE.sub("", _TARGET.sub("]", prose))
    return Shape(
        level=(level,),
        blocks=tuple(_kind(block) for block in blocks),
        code=tuple(line for block in blocks for line in _commands(block["code"] or "")),
        links=tuple(sorted(links)),
        names=tuple(sorted(set(_INLINE_CODE.findall(prose)))),
        numbers=tuple(sorted(re.sub(r"[.,]", "·", number) for number in _NUMBER.findall(words))),
    )


def _kind(block: re.Match[str]) -> str:
    if block["table"]:
        return f"table of {block['table'].rstrip().count(chr(10)) + 1} lines"
    return str(block.lastgroup)


def _commands(code: str) -> Iterator[str]:
    """Its lines; of a comment only that there is one."""
    return (_COMMENT.sub(" # …", line).rstrip() for line in code.splitlines() if line.strip())


def differences(english: str, portuguese: str) -> list[str]:
    """One line for each section that does not fit its counterpart, naming it as the English text does."""
    ours, theirs = sections(english), sections(portuguese)
    matched = SequenceMatcher(None, [s.shape for s in ours], [s.shape for s in theirs], autojunk=False)
    found: list[str] = []
    for tag, i, i_end, j, j_end in matched.get_opcodes():
        if tag == "replace" and i_end - i == j_end - j:
            found += map(_told, ours[i:i_end], theirs[j:j_end])
        elif tag != "equal":
            found += [f"“{section.title}” has no counterpart in {PORTUGUESE}" for section in ours[i:i_end]]
            found += [f"“{section.title}” has no counterpart in {ENGLISH}" for section in theirs[j:j_end]]
    return found


def _told(ours: Section, theirs: Section) -> str:
    pairs = zip(Shape._fields, ours.shape, theirs.shape, strict=True)
    what = "; ".join(f"{field}: {_unlike(here, there)}" for field, here, there in pairs if here != there)
    return f"“{ours.title}” (“{theirs.title}”): {what}"


def _unlike(here: tuple[object, ...], there: tuple[object, ...]) -> str:
    lost, gained = Counter(here) - Counter(there), Counter(there) - Counter(here)
    if not lost and not gained:
        return "in another order"
    return f"{ENGLISH} has {list(lost.elements())}, {PORTUGUESE} {list(gained.elements())}"


def test_the_translation_of_the_readme_keeps_pace_with_it() -> None:
    english, portuguese = ((ROOT / name).read_text(encoding="utf-8") for name in (ENGLISH, PORTUGUESE))
    assert differences(english, portuguese) == []


@pytest.mark.parametrize(("name", "other"), [(ENGLISH, PORTUGUESE), (PORTUGUESE, ENGLISH)], ids=str)
def test_each_readme_offers_the_other_language_first(name: Path, other: Path) -> None:
    assert _TARGET.findall((ROOT / name).read_text(encoding="utf-8"))[0] == str(other)


def test_another_language_alone_is_no_difference() -> None:
    assert differences(SAMPLE, TRANSLATED) == []


@pytest.mark.parametrize(
    ("before", "after", "section", "what"),
    [
        ("pump log", "pump log --all", "Start", "code"),
        ("pump log", "pump log   # tells all", "Start", "code"),
        ("pump log\n", "", "Start", "code"),
        ("docs/manual.md", "docs/guide.md", "Pump", "links"),
        ("0.5", "0.6", "Pump", "numbers"),
        ("`RATE`", "`SPEED`", "Start", "names"),
        ("- Then wait.\n", "", "Start", "blocks"),
        ("| wheel | 1,200 |\n", "| wheel | 1,200 |\n| shaft | light |\n", "Parts", "blocks"),
        ("The last word.", "The last word.\n\nAnd one more.", "Parts", "blocks"),
        ("## Parts", "### Parts", "Parts", "level"),
        ("## Parts", "## Care\n\nOil it.\n\n## Parts", "Care", "no counterpart"),
    ],
)
def test_a_change_in_one_language_names_its_section(before: str, after: str, section: str, what: str) -> None:
    (told,) = differences(SAMPLE.replace(before, after), TRANSLATED)
    assert told.startswith(f"“{section}”")
    assert what in told


def test_a_section_that_was_left_out_is_named() -> None:
    without = SAMPLE[: SAMPLE.index("## Start")] + SAMPLE[SAMPLE.index("## Parts") :]
    assert differences(without, TRANSLATED) == ["“Partida” has no counterpart in README.md"]
