"""What a browser's page shows, as a film with captions: frames over the DevTools protocol, put together by ffmpeg."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import CDPSession, Page

WIDTH, HEIGHT = 1280, 720
# Below the picture, so that no caption hides what it speaks of: two lines, one a language.
_BAND = 96
_FPS = 12
_INK = "0x10161D"
_STYLE_FIELDS = (
    "Format: Name, Fontname, Fontsize, PrimaryColour, BackColour, Bold, Italic, BorderStyle, Outline, Shadow, "
    "Alignment, MarginL, MarginR, MarginV"
)


class Caption(msgspec.Struct, frozen=True):
    """What is said from `at_s` on, until the next one."""

    at_s: float
    en: str
    pt: str


class Screencast:
    """Records one page from `start` to `stop`."""

    def __init__(self, page: Page, folder: Path) -> None:
        self._page, self._folder = page, folder
        self._session: CDPSession | None = None
        self._began = self._ended = 0.0
        self._frames: list[tuple[float, Path]] = []
        self._answers: set[asyncio.Task[Any]] = set()
        self.captions: list[Caption] = []

    async def start(self) -> None:
        """Chromium sends a frame whenever the picture has changed."""
        self._session = await self._page.context.new_cdp_session(self._page)
        self._session.on("Page.screencastFrame", self._keep)
        self._began = time.monotonic()
        options = {"format": "jpeg", "quality": 92, "maxWidth": WIDTH, "maxHeight": HEIGHT}
        await self._session.send("Page.startScreencast", options)

    async def say(self, en: str, pt: str, seconds: float) -> None:
        """Show a caption, and leave time to read it and to look."""
        self.captions.append(Caption(self._now(), en, pt))
        await self._page.wait_for_timeout(seconds * 1000)

    async def stop(self) -> None:
        """No more frames; the last one stays until now."""
        self._ended = self._now()
        if self._session is not None:
            await self._session.send("Page.stopScreencast")
        await asyncio.gather(*self._answers, return_exceptions=True)

    def write(self, film: Path) -> float:
        """The film with both languages in its band, and one WebVTT file a language beside it; returns its seconds."""
        end = self._ended
        listing = self._folder / "frames.txt"
        listing.write_text(frame_list(self._frames, end))
        subtitles = self._folder / "captions.ass"
        subtitles.write_text(styled(self.captions, end), encoding="utf-8")
        for language in ("en", "pt"):
            film.with_suffix(f".{language}.vtt").write_text(web_captions(self.captions, end, language))
        picture = f"fps={_FPS},pad={WIDTH}:{HEIGHT + _BAND}:0:0:color={_INK},subtitles={subtitles}"
        command = [
            "ffmpeg", "-loglevel", "error", "-y", "-f", "concat", "-safe", "0", "-i", str(listing), "-vf", picture,
            "-c:v", "libvpx-vp9", "-b:v", "0", "-crf", "38", "-row-mt", "1", "-cpu-used", "3", "-pix_fmt", "yuv420p",
            str(film),
        ]  # fmt: skip
        subprocess.run(command, check=True)
        return end

    def _keep(self, event: dict[str, Any]) -> None:
        path = self._folder / f"{len(self._frames):06d}.jpg"
        path.write_bytes(base64.b64decode(event["data"]))
        self._frames.append((self._now(), path))
        if self._session is not None:
            answer = self._session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})
            self._answers.add(asyncio.ensure_future(answer))

    def _now(self) -> float:
        return time.monotonic() - self._began


def frame_list(frames: Sequence[tuple[float, Path]], end_s: float) -> str:
    """The frames in ffmpeg's concat format, each for as long as it stood."""
    ends = [at for at, _ in frames[1:]] + [end_s]
    lines = ["ffconcat version 1.0"]
    for (at, path), until in zip(frames, ends, strict=True):
        lines += [f"file '{path}'", f"duration {max(until - at, 0.001):.3f}"]
    # The format forgets the duration of its last entry unless the file is named once more.
    return "\n".join([*lines, f"file '{frames[-1][1]}'"]) + "\n"


def web_captions(captions: Sequence[Caption], end_s: float, language: str) -> str:
    """WebVTT, for players that have a switch for subtitles."""
    blocks = [f"{_clock(at)} --> {_clock(until)}\n{text}" for at, until, text in _spans(captions, end_s, language)]
    return "WEBVTT\n\n" + "\n\n".join(blocks) + "\n"


def styled(captions: Sequence[Caption], end_s: float) -> str:
    """Both languages as Advanced SubStation Alpha, each on its own line of the band below the picture."""
    style = "Liberation Sans,{size},{colour},&H00000000,0,0,1,0,0,8,24,24,{top}"
    head = [
        "[Script Info]", "ScriptType: v4.00+", f"PlayResX: {WIDTH}", f"PlayResY: {HEIGHT + _BAND}", "WrapStyle: 0", "",
        "[V4+ Styles]",
        _STYLE_FIELDS,
        "Style: en," + style.format(size=26, colour="&H00F4F1EC", top=HEIGHT + 16),
        "Style: pt," + style.format(size=22, colour="&H00C9B39E", top=HEIGHT + 54),
        "", "[Events]", "Format: Layer, Start, End, Style, Text",
    ]  # fmt: skip
    events = [
        f"Dialogue: 0,{_centiseconds(at)},{_centiseconds(until)},{language},{text}"
        for language in ("en", "pt")
        for at, until, text in _spans(captions, end_s, language)
    ]
    return "\n".join(head + events) + "\n"


def _spans(captions: Sequence[Caption], end_s: float, language: str) -> list[tuple[float, float, str]]:
    marks = [*(caption.at_s for caption in captions), end_s]
    return [
        (at, until, getattr(caption, language)) for (at, until), caption in zip(pairwise(marks), captions, strict=True)
    ]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"00:{int(minutes):02d}:{rest:06.3f}"


def _centiseconds(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"0:{int(minutes):02d}:{rest:05.2f}"
