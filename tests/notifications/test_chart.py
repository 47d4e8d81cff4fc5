"""The mail's picture: the right colours in the right places, whatever was measured, and quickly."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import time

import msgspec
import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cloud.notifications import chart
from cloud.notifications.mark import draw_mark
from cloud.notifications.notice import Locale
from cloud.notifications.picture import Picture, picture_of
from contract.events import Severity
from tests.notifications.notices import notice

ORANGE, INK_LINE = (213, 94, 0), (43, 51, 60)


def picture(values: list[float], *, low: float = 0.19, high: float = 0.24, step_ms: int = 1000) -> Picture:
    whole = picture_of(notice(), "%H:%M")
    assert whole is not None
    at = [1_763_398_440_000 + step_ms * row for row in range(len(values))]
    return msgspec.structs.replace(
        whole,
        values=values,
        measured_at_ms=at,
        expected=(low + high) / 2,
        expected_low=low,
        expected_high=high,
        since_ms=at[len(at) // 2],
    )


def pixels(png: bytes) -> npt.NDArray[np.int64]:
    """Height × width × red, green, blue."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.int64)


def near(image: npt.NDArray[np.int64], colour: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    return np.asarray(np.abs(image - np.array(colour)).max(axis=2) < 24)


def test_the_picture_is_sharp_on_a_phone() -> None:
    assert pixels(chart.draw(picture([0.2, 0.21, 0.4]))).shape == (2 * chart.HEIGHT, 2 * chart.WIDTH, 3)


def test_only_what_is_outside_takes_the_hue() -> None:
    inside = pixels(chart.draw(picture([0.2, 0.22] * 20)))
    assert not near(inside, ORANGE).any()
    assert near(inside, INK_LINE).any()
    rising = near(pixels(chart.draw(picture([0.21] * 20 + [0.21 + 0.02 * row for row in range(20)]))), ORANGE)
    columns = np.flatnonzero(rising.any(axis=0))
    assert columns.min() > rising.shape[1] * 0.4


def test_a_value_below_takes_the_hue_as_well() -> None:
    assert near(pixels(chart.draw(picture([0.2] * 10 + [0.05] * 10))), ORANGE).any()


def test_a_silence_is_a_gap_and_not_a_stroke() -> None:
    # The line stands at 0.3, outside the ribbon, and is silent for the middle third.
    silent = near(pixels(chart.draw(picture([0.3] * 20 + [math.nan] * 20 + [0.3] * 20))), ORANGE)
    middle = silent[:, int(silent.shape[1] * 0.4) : int(silent.shape[1] * 0.55)]
    assert silent.any()
    assert not middle.any()


def test_missing_rows_are_a_gap_too() -> None:
    whole = picture([0.3] * 40)
    at = [*whole.measured_at_ms[:20], *(at + 60_000 for at in whole.measured_at_ms[20:])]
    drawn = near(pixels(chart.draw(msgspec.structs.replace(whole, measured_at_ms=at))), ORANGE)
    assert not drawn[:, int(drawn.shape[1] * 0.4) : int(drawn.shape[1] * 0.5)].any()


def test_the_same_picture_is_the_same_bytes() -> None:
    assert chart.draw(picture([0.2, 0.3])) == chart.draw(picture([0.2, 0.3]))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-1e12, 1e12) | st.just(math.nan), min_size=2, max_size=30),
    st.floats(-1e9, 1e9),
    st.floats(0, 1e9),
    st.sampled_from([0, 1, 1000, 3_600_000, 30 * 86_400_000]),
    st.sampled_from(list(Severity)),
)
def test_whatever_was_measured_can_be_drawn(
    values: list[float], low: float, width: float, step_ms: int, severity: Severity
) -> None:
    if not any(math.isfinite(value) for value in values):
        values = [*values, 1.0]
    shown = picture(values, low=low, high=low + width, step_ms=step_ms)
    assert chart.draw(msgspec.structs.replace(shown, severity=severity, locale=Locale(zone="Asia/Kolkata")))


def test_once_warm_a_picture_takes_less_than_300_ms() -> None:
    shown = picture([0.2 + 0.001 * (row % 7) for row in range(600)])
    chart.draw(shown)
    started = time.perf_counter()
    chart.draw(shown)
    assert time.perf_counter() - started < 0.3


def test_the_mark_is_ink_on_a_clear_ground() -> None:
    mark = Image.open(io.BytesIO(draw_mark()))
    assert mark.mode == "RGBA"
    drawn = np.asarray(mark)
    assert drawn[0, 0, 3] == 0
    assert drawn[mark.height // 2, mark.width // 2].tolist() == [20, 24, 29, 255]


def test_who_reads_mails_does_not_pay_for_drawing() -> None:
    """Only what writes a mail loads matplotlib, and never pyplot with its global state."""
    script = (
        "import sys, cloud.notifications.email, cloud.notifications.mailserver, cloud.notifications.notifier\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from cloud.notifications.message import warm_up\n"
        "warm_up()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
