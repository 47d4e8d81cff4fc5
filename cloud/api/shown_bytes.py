"""Bytes that a stranger sent, shown so that they can do nothing: not to a terminal, not to a page."""

from __future__ import annotations

import msgspec

# A person reads no more of a message than this.
MOST_SHOWN = 4096
_PER_LINE = 16
_MARKUP = frozenset("<>&")
# Beyond this share of what had to be escaped it is no text, though it may be UTF-8 by chance.
_MOST_ESCAPED = 0.3


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The first `shown` of `size` bytes: `text` with everything escaped that is no plain character, or else `hex`."""

    size: int
    shown: int
    text: str | None
    hex: str | None


def show(payload: bytes, most: int = MOST_SHOWN) -> Shown:
    """The beginning of a payload, as text where it is text and as a dump where it is not."""
    head = payload[:most]
    text = _text(head, cut=len(payload) > most)
    return Shown(
        size=len(payload),
        shown=len(head),
        text=None if text is None else escaped(text, markup=True),
        hex=dump(head) if text is None else None,
    )


def escaped(text: str, *, markup: bool = False) -> str:
    r"""One line without control characters, invisible ones or such as turn the direction around: `\x1b`, `\u202e`.

    With `markup` also without what begins an element or an entity.
    """
    return "".join(_escape(each) if _is_hidden(each) or (markup and each in _MARKUP) else each for each in text)


def dump(payload: bytes) -> str:
    """Sixteen bytes a line: where, in hexadecimal, and the plain letters and digits among them."""
    return "\n".join(_dumped(at, payload[at : at + _PER_LINE]) for at in range(0, len(payload), _PER_LINE))


def _text(head: bytes, *, cut: bool) -> str | None:
    """The text, or None. What was cut may end within a character, which has up to four bytes (RFC 3629)."""
    for spare in range(4 if cut else 1):
        try:
            text = head[: len(head) - spare].decode()
        except UnicodeDecodeError:
            continue
        return text if sum(map(_is_hidden, text)) <= _MOST_ESCAPED * len(text) else None
    return None


def _is_hidden(character: str) -> bool:
    """Control, format, private and unassigned characters, lone surrogates, and every separator but the space."""
    return not character.isprintable() or character == "\\"


def _escape(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _dumped(at: int, line: bytes) -> str:
    plain = "".join(chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else "." for byte in line)
    return f"{at:08x}  {line.hex(' '):<{3 * _PER_LINE}} {plain}"
