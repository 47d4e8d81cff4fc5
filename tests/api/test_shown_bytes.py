"""What a stranger sent can be looked at, and does nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.api.shown_bytes import dump, escaped, show


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"ts": 1, "values": {"a": NaN}}', '{"ts": 1, "values": {"a": NaN}}'),
        ("vibração °C".encode(), "vibração °C"),
        (b"<script>alert(1)</script>", "\\x3cscript\\x3ealert(1)\\x3c/script\\x3e"),
        (b"the end of a page of text\x1b[2J", "the end of a page of text\\x1b[2J"),
        ("right to left \u202e and joined\u200d".encode(), "right to left \\u202e and joined\\u200d"),
        (b"one line\nand another", "one line\\x0aand another"),
        (b"C:\\n is no new line", "C:\\\\n is no new line"),
        (b"", ""),
    ],
)
def test_text_is_shown_as_text_with_its_tricks_written_out(payload: bytes, text: str) -> None:
    assert show(payload).text == text


@pytest.mark.parametrize("payload", [b"\xff\xd8\xff\xe0\x00\x10JFIF", b"\0" * 40, bytes(range(256))])
def test_what_is_no_text_is_dumped(payload: bytes) -> None:
    shown = show(payload)
    assert shown.text is None
    assert shown.hex == dump(payload)


def test_a_dump_has_sixteen_bytes_a_line_and_plain_letters_beside() -> None:
    assert dump(b"\xffJFIF<b>0123456789") == (
        f"00000000  ff 4a 46 49 46 3c 62 3e 30 31 32 33 34 35 36 37  .JFIF.b.01234567\n00000010  38 39 {' ' * 43}89"
    )


def test_no_more_is_shown_than_a_person_reads_and_a_cut_character_is_no_dump() -> None:
    shown = show("é".encode() * 5000, most=101)
    assert (shown.size, shown.shown, shown.text) == (10_000, 101, "é" * 50)


@given(st.binary(max_size=200))
def test_nothing_shown_can_move_a_cursor_or_open_an_element(payload: bytes) -> None:
    shown = show(payload)
    said = shown.text if shown.text is not None else shown.hex
    assert said is not None
    assert all(each.isprintable() or each == "\n" for each in said)
    assert not set("<>&") & set(said)


@given(st.text(max_size=100))
def test_escaping_loses_nothing_and_leaves_one_printable_line(text: str) -> None:
    once = escaped(text)
    assert once.isprintable()
    assert once == text or "\\" in once
