"""In which words? Sentences, numbers, times and durations as the reader of the page writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from detection.words import human_name
from ronda.trial.portuguese import PORTUGUESE
from ronda.trial.said import Said, Value

LANGUAGES = ("en", "pt")
NO_BREAK = "\N{NO-BREAK SPACE}"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_MS = 86_400_000
_STEPS = (("d", _DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
_MINUS = "\N{MINUS SIGN}"


class Words:
    """Speaks one language. Times are told in `zone`, or as elapsed when they only count from the beginning.

    Raises: KeyError for a sentence that was never translated, so that a test finds it.
    """

    def __init__(self, language: str, zone: tzinfo = UTC, *, elapsed: bool = False) -> None:
        self.language = language
        self._zone, self._elapsed = zone, elapsed

    def __call__(self, text: str, **values: Value) -> str:
        """The sentence with what goes into its places; numbers among it are written as the reader writes them."""
        spoken = text if self.language == "en" else PORTUGUESE[text]
        said = {key: value if isinstance(value, str) else self.number(value) for key, value in values.items()}
        return spoken.format(**said) if said else spoken

    def known(self, text: str) -> str:
        """Somebody else's sentence, in the reader's language where there is a translation."""
        return text if self.language == "en" else PORTUGUESE.get(text, text)

    def told(self, said: Said) -> str:
        """A sentence that was kept until the language was known."""
        return self(said.text, **said.values)

    def count(self, one: str, many: str, n: int, **values: Value) -> str:
        """The singular for one, else the plural, with the number as `{n}`."""
        return self(one if n == 1 else many, n=n, **values)

    def counted(self, readings: int, sensors: int) -> str:
        """How much there is."""
        if sensors == 1:
            return self("{n} readings of one sensor", n=readings)
        return self("{n} readings of {k} sensors", n=readings, k=sensors)

    def number(self, value: float) -> str:
        """`value` with grouped thousands; without a fraction when it is whole or large, else four digits of it."""
        if float(value).is_integer() and abs(value) < 1e15:
            text = f"{value:,.0f}"
        else:
            text = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
        text = text.replace("-", _MINUS)
        return text.translate(str.maketrans(",.", ".,")) if self.language == "pt" else text

    def fixed(self, value: float, places: int) -> str:
        """`value` with so many decimals."""
        text = f"{value:,.{places}f}".replace("-", _MINUS)
        return text.translate(str.maketrans(",.", ".,")) if self.language == "pt" else text

    def percent(self, share: float) -> str:
        """A share of 1, in whole per cent, or with a decimal where that is all there is."""
        places = 0 if share == 0 or share >= 0.0995 else 1
        return self.fixed(100 * share, places) + f"{NO_BREAK}%"

    def every(self, step_ms: int) -> str:
        """How often a reading comes."""
        return self("one a second") if step_ms == 1000 else self("one every {step}", step=self.duration(step_ms))

    def sensor(self, metric: str) -> str:
        """What people call the sensor; a name that only this file knows stays as it is."""
        name = human_name(metric, self.language)
        return metric if metric in name else name[:1].upper() + name[1:]

    def moment(self, at_ms: int, *, day: bool = False, seconds: bool = True) -> str:
        """A time of day, with its day when asked; or the time since the beginning."""
        if self._elapsed:
            days, rest = divmod(at_ms, _DAY_MS)
            clock = str(timedelta(seconds=rest // 1000)).zfill(8)
            return f"{days} d {clock}" if days else clock
        when = datetime.fromtimestamp(at_ms / 1000, self._zone)
        clock = when.strftime("%H:%M:%S" if seconds else "%H:%M")
        return f"{self._day(when)} {clock}" if day else clock

    def tick(self, at_ms: int, step_ms: int) -> str:
        """A time at the side of a chart whose ticks are `step_ms` apart: as fine as they need, the day at midnight."""
        if step_ms < 1000:
            return f"{self.moment(at_ms)}.{at_ms % 1000:03d}"
        if self._elapsed:
            return self.moment(at_ms)
        when = datetime.fromtimestamp(at_ms / 1000, self._zone)
        if step_ms >= _DAY_MS or (when.hour, when.minute, when.second) == (0, 0, 0):
            return self._day(when).removesuffix(f" {when.year}").removesuffix(f"/{when.year}")
        return self.moment(at_ms, seconds=step_ms < 60_000)

    def day(self, at_ms: int) -> str:
        """The day alone; none where the times only count from the beginning."""
        if self._elapsed:
            return ""
        return self._day(datetime.fromtimestamp(at_ms / 1000, self._zone))

    def offset_ms(self, at_ms: int) -> int:
        """How far the reader's clock is ahead of UTC."""
        offset = datetime.fromtimestamp(at_ms / 1000, self._zone).utcoffset()
        return int(offset.total_seconds() * 1000) if offset else 0

    def zone(self) -> str:
        """What the times are relative to, as far as the file says."""
        return "" if self._elapsed or self._zone is UTC else str(self._zone)

    def duration(self, milliseconds: float) -> str:
        """`12 min 31 s`: the two largest units, the second only where it is not nothing."""
        left = round(milliseconds)
        parts: list[str] = []
        for unit, step in _STEPS:
            amount, left = divmod(left, step)
            if amount and (unit != "ms" or not parts):
                parts.append(f"{self.number(amount)}{NO_BREAK}{unit}")
            if parts and (len(parts) == 2 or not amount):
                break
        return " ".join(parts) or f"0{NO_BREAK}s"

    def _day(self, when: datetime) -> str:
        if self.language == "pt":
            return when.strftime("%d/%m/%Y")
        return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"
