"""Which limits may be set for a machine, and how they are shown. Pure rules, refusals in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec

from cloud.api.problems import Problem
from contract.errors import Reason
from contract.events import Severity
from contract.plausibility import Metric
from contract.telemetry import MAX_METRICS
from detection import episode
from detection.errors import DetectionError
from detection.iso20816 import SOURCE, Boundary, class_of, label, machine_class, mm_s_per, spoken
from detection.limit import USER, Limit

_LANGUAGES = ("en", "pt")
# A warning and a critical one for each metric, by people and by a standard.
_MOST = 4 * MAX_METRICS
_SEVERITIES = {Boundary.B_C: episode.Severity.WARNING, Boundary.C_D: episode.Severity.CRITICAL}


class NewStandard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The zones of ISO 20816 for the machine's class: beyond B/C a warning, beyond C/D critical."""

    metric: str
    machine_class: str = msgspec.field(name="class")


class NewLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit to set: either `metric` with `low`, `high` or both, or `iso20816`."""

    metric: str | None = None
    low: float | None = None
    high: float | None = None
    severity: Severity = Severity.WARNING
    label: Annotated[str, msgspec.Meta(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    iso20816: NewStandard | None = None


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as it stands; `label` by language, `class` is the machine class of a limit from a standard."""

    metric: str
    unit: str
    low: float | None
    high: float | None
    severity: Severity
    source: str
    label: dict[str, str]
    machine_class: str | None = msgspec.field(name="class", default=None)


class LimitPage(msgspec.Struct, frozen=True, kw_only=True):
    """A machine's limits, by metric, warnings first."""

    items: list[LimitView]


def limits_of(wanted: Sequence[NewLimit], metrics: Sequence[Metric]) -> list[Limit]:
    """The limits that were asked for. Raises: Problem 422 that names the first which cannot be kept, and why."""
    if len(wanted) > _MOST:
        raise _refused(f"a device has at most {_MOST} limits, these are {len(wanted)}")
    units = {metric.name: metric.unit for metric in metrics}
    limits: list[Limit] = []
    for place, each in enumerate(wanted):
        try:
            limits += _limits(each, units)
        except DetectionError as error:
            raise _refused(str(error), place) from error
    _check_together(limits)
    return limits


def limit_views(limits: Sequence[Limit], metrics: Sequence[Metric]) -> LimitPage:
    """The limits as they are shown."""
    units = {metric.name: metric.unit for metric in metrics}
    return LimitPage(items=[_view(limit, units.get(limit.metric, "")) for limit in limits])


def _limits(wanted: NewLimit, units: Mapping[str, str]) -> Iterator[Limit]:
    standard = wanted.iso20816
    if (standard is None) == (wanted.metric is None):
        raise DetectionError('a limit has a metric with low or high, or is {"iso20816": {"metric": …, "class": …}}')
    if standard is not None:
        _check_known(standard.metric, units)
        yield from _zones(standard, units[standard.metric])
        return
    severity = episode.Severity(wanted.severity)
    limit = Limit(
        metric=wanted.metric or "", low=wanted.low, high=wanted.high, severity=severity, source=USER,
        label=wanted.label,
    )  # fmt: skip
    _check_known(limit.metric, units)
    limit.check()
    yield limit


def _zones(standard: NewStandard, unit: str) -> Iterator[Limit]:
    """In the unit of the metric: a limit in inches a second is compared with inches a second."""
    found = machine_class(standard.machine_class)
    factor = mm_s_per(unit, standard.metric)
    for boundary, severity in _SEVERITIES.items():
        yield Limit(
            metric=standard.metric,
            high=float(f"{found.at(boundary) / factor:.6g}"),
            severity=severity,
            source=SOURCE,
            label=label(standard.machine_class, boundary),
        )


def _check_known(metric: str, units: Mapping[str, str]) -> None:
    if metric not in units:
        raise DetectionError(f"{metric[:80]!r} is not registered for this device, which has: {', '.join(units)}")


def _check_together(limits: Sequence[Limit]) -> None:
    """Each once, and a critical limit beyond the warning of the same source."""
    known: dict[tuple[str, str, episode.Severity], Limit] = {}
    for limit in limits:
        key = (limit.metric, limit.source, limit.severity)
        if key in known:
            raise _refused(
                f"{limit.metric}: there are two limits of severity {limit.severity}; give low and high in one"
            )
        known[key] = limit
    for (metric, source, severity), critical in known.items():
        warning = known.get((metric, source, episode.Severity.WARNING))
        if severity is episode.Severity.CRITICAL and warning is not None and not _is_beyond(critical, warning):
            raise _refused(f"{metric}: the critical limit must not lie inside the warning")


def _is_beyond(critical: Limit, warning: Limit) -> bool:
    high = critical.high is None or warning.high is None or critical.high >= warning.high
    return high and (critical.low is None or warning.low is None or critical.low <= warning.low)


def _view(limit: Limit, unit: str) -> LimitView:
    standard = limit.source == SOURCE
    return LimitView(
        metric=limit.metric,
        unit=unit,
        low=limit.low,
        high=limit.high,
        severity=Severity(limit.severity),
        source=limit.source,
        label={language: spoken(limit.label, language) if standard else limit.label for language in _LANGUAGES},
        machine_class=class_of(limit.label) if standard else None,
    )


def _refused(detail: str, place: int | None = None) -> Problem:
    errors = [] if place is None else [{"pointer": f"#/{place}", "detail": detail}]
    return Problem(422, Reason.WRONG_SHAPE, detail, errors=errors)
