"""What was learned from the beginning, what was left out, what the file's label says, and what all this cannot say."""

from __future__ import annotations

from detection.model import Maturity
from ronda.trial.comparison import Comparison, Labelled
from ronda.trial.page.glyphs import glyph
from ronda.trial.page.markup import Markup, breakable, joined, tag
from ronda.trial.page.overview import grown
from ronda.trial.said import Value
from ronda.trial.search import Trial
from ronda.trial.words import NO_BREAK, Words


def learned(trial: Trial, say: Words) -> Markup:
    """The lesson: how much, how well it predicts itself, and each channel."""
    report = trial.fitted.report
    rows = [
        (say("Taken for healthy"), _taken(trial, say)),
        (say("Maturity"), joined(grown(trial, say), " ", _maturity(trial, say))),
        (say("Exceedance"), _exceedance(trial, say)),
        (
            say("Sensitivity"),
            say("the limit is {factor} times the largest healthy score", factor=round(report.factor, 2)),
        ),
        (say("Operating points"), say.number(report.operating_points)),
        (say("Rate"), say.every(trial.recording.cadence_ms)),
        (say("Checksum"), tag("code", report.data_hash)),
    ]
    facts = tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows), class_="about")
    return tag("div", facts, _channels(trial, say), class_="card two")


def notes(trial: Trial, say: Words) -> Markup | None:
    """What was done to the file on the way in."""
    if not trial.recording.notes:
        return None
    return tag("ul", *(tag("li", say.told(note)) for note in trial.recording.notes), class_="notes")


def against_labels(comparison: Comparison, say: Words) -> Markup:
    """Stretch by stretch: found, or missed; and what was found beside them."""
    warning = None
    if comparison.learned_faulty_rows:
        text = say(
            "{rows} of the rows that were taken for healthy are faulty by this label: what was learned is not healthy "
            "running. Choose a healthy part with --learn.",
            rows=comparison.learned_faulty_rows,
        )
        warning = tag("p", glyph("warning"), " ", text, class_="caution")
    names = [say("Labelled from"), say("to"), say("Result")]
    head = tag("tr", *(tag("th", name, scope="col") for name in names))
    body = [tag("tr", *(tag("td", cell) for cell in _stretch(each, say))) for each in comparison.stretches[:50]]
    table = tag("table", tag("thead", head), tag("tbody", *body), class_="plain") if body else None
    return tag("div", warning, tag("p", verdict(comparison, say)), table, class_="card")


def limits_of_this(trial: Trial, say: Words) -> Markup:
    """What nobody should read into the page."""
    texts = [
        say("What was wrong from the beginning was learned as normal: this page compares the machine with itself."),
        say("It says where and how a machine left its normal running. What to repair, a person who knows it decides."),
        say("A new load, speed or product looks like an anomaly if it was not in the part learned from."),
        say(
            "A wear so slow that the normal level follows it within hours is not seen here; trends need weeks of data."
        ),
        say(
            "What lasts less than {patience} is not told; one wild reading alone never is.",
            patience=say.duration(trial.fitted.model.settings.min_duration_ms),
        ),
    ]
    if trial.fitted.model.maturity is Maturity.YOUNG:
        texts.insert(
            0, say("Learned from little: false alarms are likelier than after half an hour of healthy running.")
        )
    return tag("ul", *(tag("li", text) for text in texts), class_="card says")


def _taken(trial: Trial, say: Words) -> str:
    times = trial.recording.times
    span = say.duration(int(times[trial.learn - 1] - times[0]))
    return say("the first {n} readings, {span}", n=trial.learn, span=span)


def _maturity(trial: Trial, say: Words) -> str:
    if trial.fitted.model.maturity is Maturity.READY:
        return say("half an hour or more was learned from")
    return say("less than half an hour was learned from, or its last third was unlike the rest")


def _exceedance(trial: Trial, say: Words) -> str:
    share = trial.fitted.report.exceedance
    if share is None:
        return say("unknown: too few rows to learn from two thirds and try the last")
    return say(
        "{share} of the last third of them is beyond limits learned from the first two", share=say.percent(share)
    )


def _channels(trial: Trial, say: Words) -> Markup:
    model = trial.fitted.model
    drifting = set(trial.fitted.report.drifting)
    names = [say("Sensor"), say("Usual"), say("Deviation")]
    head = tag("tr", *(tag("th", name, scope="col") for name in names))
    body = [
        tag(
            "tr",
            tag(
                "th",
                breakable(say.sensor(name)),
                tag("span", say("drifts"), class_="tag") if name in drifting else None,
                scope="row",
            ),
            tag("td", say.number(_rounded(centre, deviation)), _unit(trial, name)),
            tag("td", say.number(_rounded(deviation, deviation))),
        )
        for name, centre, deviation in zip(model.metrics, model.centre, model.deviation, strict=True)
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body), class_="plain"), _left_out(trial, say))


def _left_out(trial: Trial, say: Words) -> Markup | None:
    out = {name: say.told(why) for name, why in trial.recording.left_out.items()}
    out |= {name: say.known(why) for name, why in trial.fitted.report.excluded.items()}
    if not out:
        return None
    items = [tag("li", tag("strong", name), " ", why) for name, why in out.items()]
    return tag("div", tag("h3", say("Left out")), tag("ul", *items, class_="notes"), class_="left-out")


def _rounded(value: float, deviation: float) -> float:
    """As finely as the sensor's own noise makes sense of."""
    return float(f"{value:.3g}") if abs(value) <= deviation * 1000 else float(f"{value:.6g}")


def _unit(trial: Trial, name: str) -> str:
    unit = trial.recording.units.get(name)
    return f"{NO_BREAK}{unit}" if unit else ""


def _stretch(stretch: Labelled, say: Words) -> list[str]:
    since, until = say.moment(stretch.since_ms, day=True), say.moment(stretch.until_ms, day=True)
    if stretch.found:
        told = (
            say("found after {delay}", delay=say.duration(stretch.delay_ms or 0))
            if stretch.delay_ms
            else say("found, already open")
        )
        return [since, until, tag("span", glyph("ready"), told, class_="severity ready")]
    missed = say("in the part learned from") if stretch.learned else say("missed")
    return [since, until, tag("span", glyph("missed"), missed, class_="severity missed")]


def _found_of(comparison: Comparison, found: int, say: Words) -> str:
    if len(comparison.stretches) > 1:
        values: dict[str, Value] = {"label": comparison.label, "found": found, "n": len(comparison.stretches)}
        return say("Of {n} stretches that “{label}” calls faulty, {found} were found.", **values)
    if found:
        return say("The stretch that “{label}” calls faulty was found.", label=comparison.label)
    return say("The stretch that “{label}” calls faulty was not found.", label=comparison.label)


def verdict(comparison: Comparison, say: Words) -> str:
    found = sum(stretch.found for stretch in comparison.stretches)
    if not comparison.stretches:
        first = say("“{label}” calls no row faulty.", label=comparison.label)
    else:
        first = _found_of(comparison, found, say)
    second = say.count("{n} alarm touches none of them.", "{n} alarms touch none of them.", comparison.false_alarms)
    return f"{first} {second} " + say("The label was not used for learning or finding.")
