"""The mail: its facts in both languages and both parts, and nothing in it that a name could smuggle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from html.parser import HTMLParser

import msgspec
import pytest

from cloud.notifications.decision import Why
from cloud.notifications.facts import facts_of
from cloud.notifications.message import compose, warm_up
from cloud.notifications.notice import Language, Notice
from contract.events import AnomalyDetectedEvent, Cause, SensorEvidence, Severity, Window
from tests.notifications.notices import BASE_URL, notice
from tests.support.anomalies import RAISED_AT_MS, anomaly, sensor, window

RECIPIENTS = ["ana@plant.example", "bruno@plant.example"]
LANGUAGES: tuple[Language, ...] = ("en", "pt")

LOOKS = Cause(
    fault="mechanical",
    by="rule",
    candidates=["imbalance", "bearing_wear"],
    sentence={"en": "It looks mechanical, not load.", "pt": "Parece mecânico, não de carga."},
    source="ISO 13373-3:2015",
)
LOOKING = msgspec.structs.replace(anomaly().evidence, cause=LOOKS)


def mail(of: Notice) -> EmailMessage:
    """The mail as a reader's program takes it from the wire."""
    return message_from_bytes(compose(of, "ronda@plant.example", RECIPIENTS).as_bytes(), EmailMessage, policy=modern)


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def seen_with(*sensors: SensorEvidence, name: str | None = None) -> AnomalyDetectedEvent:
    base = anomaly().evidence
    shown = window(name=name or sensors[0].name)
    return anomaly(evidence=msgspec.structs.replace(base, sensors=list(sensors), window=shown))


class Reader(HTMLParser):
    """What a reader's program would show and fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "background")]
        self.words += [value or "" for name, value in attrs if name == "alt"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def test_the_subject_says_state_machine_and_fact() -> None:
    assert mail(notice())["Subject"] == "▲ Critical: pump-07, vibration 1.8 times normal"
    assert mail(notice(language="pt"))["Subject"] == "▲ Crítico: pump-07, vibração 1,8 vezes o normal"
    warning = mail(notice(anomaly(severity=Severity.WARNING)))
    assert warning["Subject"] == "◆ Warning: pump-07, vibration 1.8 times normal"


@pytest.mark.parametrize(
    ("evidence", "fact"),
    [
        (("flow_lpm", "L/min", 1.0, 450.0, 1180.0, 1150.0, 1210.0), "flow at 38\u00a0% of normal"),
        (("current_a", "A", 1.0, 32.4, 31.5, 30.6, 32.3), "motor current 32.4\u00a0A, expected 30.6–32.3"),
        (
            ("motor_temperature_c", "°C", 1.0, 118.0, 58.2, 57.0, 59.4),
            "motor temperature 118.0\u00a0°C, expected 57.0–59.4",
        ),
        (("Thermocouple", "", 1.0, 60.0, 25.0, 24.0, 26.0), "Thermocouple 60.0, expected 24.0–26.0"),
        (("level_m", "m", 1.0, 3.0, 0.0, -1.0, 1.0), "level_m 3.0\u00a0m, expected −1.0\u00a0–\u00a01.0"),
        (("pressure_bar", "bar", 1.0, 4.2, 4.2, 4.08, 4.32), "unusual combination, above all pressure"),
        (("current_a", "A", 1.0, 900.0, 31.5, 30.6, 32.3), "motor current 29 times normal"),
    ],
)
def test_the_fact_is_the_one_that_means_something(
    evidence: tuple[str, str, float, float, float, float, float], fact: str
) -> None:
    assert facts_of(notice(seen_with(sensor(*evidence)))).subject.endswith(f"pump-07, {fact}")


def test_an_anomaly_without_sensors_still_has_a_mail() -> None:
    bare = anomaly(evidence=msgspec.structs.replace(anomaly().evidence, sensors=[]))
    message = mail(notice(bare))
    assert "the vibration at the drive end has been 1.8 times" in message["Subject"]
    assert part(message, "html").count("cid:chart") == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_it_looks_like_is_told_after_the_sentence_with_who_says_so(language: Language) -> None:
    message = mail(notice(anomaly(evidence=LOOKING), language=language))
    for shown in (Reader(part(message, "html")).text, part(message, "plain")):
        assert LOOKS.sentence[language] in shown
        assert LOOKS.source in shown
        assert shown.index(LOOKS.sentence[language]) > shown.index(anomaly().evidence.sentence[language][:40])


def test_a_classifier_is_told_from_a_rule() -> None:
    learned = msgspec.structs.replace(LOOKS, by="classifier", source="faults.plant-1 v3")
    event = anomaly(evidence=msgspec.structs.replace(LOOKING, cause=learned))
    assert "(By rule: ISO 13373-3:2015)" in part(mail(notice(anomaly(evidence=LOOKING))), "plain")
    assert "(Learned from earlier alarms: faults.plant-1 v3)" in part(mail(notice(event)), "plain")


def test_where_nothing_tells_what_it_looks_like_the_mail_says_nothing_of_it() -> None:
    assert facts_of(notice()).looks is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_parts_tell_the_same_facts(language: Language) -> None:
    asked = notice(language=language, suppressed=3)
    facts, message = facts_of(asked), mail(asked)
    told = [facts.badge, facts.device, facts.site, facts.when, facts.sentence, facts.footer]
    told += [said for row in facts.rows for said in (row.sensor, row.seen, row.expected, row.share)]
    told += [said for detail in facts.details for said in (detail.label, detail.value, detail.code)]
    told += [facts.picture.alt if facts.picture else "no picture"]
    for shown in (Reader(part(message, "html")).text, " ".join(part(message, "plain").split())):
        assert [said for said in told if " ".join(said.split()) not in shown] == []
    assert facts.url in part(message, "plain")
    assert facts.url in Reader(part(message, "html")).addresses


def test_the_mail_says_why_it_was_sent_and_what_was_held_back() -> None:
    text = part(mail(notice(why=Why.WORSE, suppressed=4)), "plain")
    assert "Sent because: it got worse since the last message; next reminder from 14:54 if it lasts" in text
    assert "Held back: 4 messages since the last one" in text
    assert "Held back: no message since the last one" in part(mail(notice(why=Why.WORSE)), "plain")
    assert "Retidas: 1 mensagem desde a última" in part(mail(notice(language="pt", suppressed=1)), "plain")


def test_a_first_mail_says_nothing_of_a_last_one() -> None:
    assert "Held back" not in part(mail(notice()), "plain")
    assert "Held back: 2 messages since the last one" in part(mail(notice(suppressed=2)), "plain")


def test_the_mail_in_portuguese_speaks_as_people_there_do() -> None:
    text = part(mail(notice(language="pt")), "plain")
    assert "Enviado pela Ronda para plant-1" in text
    assert "Escore: 2,62, limite 1,00" in text
    assert list(facts_of(notice(language="pt")).heads) == ["Sensor", "Medido", "Esperado", "Contribuição"]


def test_the_mail_names_model_run_score_and_correlation_id() -> None:
    message = mail(notice())
    text = part(message, "plain")
    assert "Model: plant-1.pump-07 v14, run 4e1c9ab07d3f4e1c9ab07d3f4e1c9ab0" in text
    assert "Score: 2.62, limit 1.00; outside since 13:47" in text
    assert "Correlation id: plant-1.pump-07.9f2c41d07be3a655.88214" in text
    assert message["X-Ronda-Correlation-Id"] == "plant-1.pump-07.9f2c41d07be3a655.88214"


def test_the_button_opens_the_page_of_the_device() -> None:
    page = f"{BASE_URL}/ui/device/plant-1/pump-07?anomaly=a1b2c3d4e5f60718293a4b5c6d7e8f90"
    assert page in Reader(part(mail(notice()), "html")).addresses


def test_nothing_is_fetched_from_anywhere() -> None:
    message = mail(notice())
    html = part(message, "html")
    fetched = [address for address in Reader(html).addresses if not address.startswith(f"{BASE_URL}/ui/")]
    carried = {f"cid:{inner['Content-ID'].strip('<>')}" for inner in message.walk() if inner["Content-ID"]}
    assert set(fetched) == carried
    assert len(carried) == 2
    assert "url(" not in html
    assert "script" not in Reader(html).tags


def test_the_mail_is_light_and_not_clipped() -> None:
    message = mail(notice())
    assert 'name="color-scheme" content="light"' in part(message, "html")
    assert 'width="608"' in part(message, "html")
    # Gmail clips what is beyond 102 kB of HTML.
    assert len(part(message, "html").encode()) < 20_000
    assert len(message.as_bytes()) < 120_000


def test_the_picture_says_in_words_what_it_shows() -> None:
    facts = facts_of(notice())
    assert facts.picture is not None
    assert facts.picture.alt == (
        "Vibration, drive end, 12:54 to 13:54: seen 0.38\u00a0g, above 0.19–0.24 (expected); "
        "outside its normal state since 13:47."
    )
    assert facts.picture.legend == ["grey: expected", "orange: outside it", "shaded: since 13:47"]


def test_a_sensor_without_a_series_leaves_the_picture_to_the_next() -> None:
    event = seen_with(
        sensor("level", "m", 0.6, 3, 1, 0, 2), sensor("current_a", "A", 0.4, 33, 31, 30, 32), name="current_a"
    )
    picture = facts_of(notice(event)).picture
    assert picture is not None
    assert picture.title == "Motor current, A"


def test_an_unknown_sensor_is_shown_by_its_own_name() -> None:
    message = mail(notice(seen_with(sensor("Volume Flow RateRMS", "", 1.0, 30.0, 32.0, 31.0, 33.0)), language="pt"))
    assert "Volume Flow RateRMS: 30,0, abaixo de 31,0–33,0" in part(message, "plain")


EVIL = "<img src=http://evil.example/x>\u202e\"'&amp;"


@pytest.mark.parametrize("language", LANGUAGES)
def test_markup_in_names_is_text_everywhere(language: Language) -> None:
    event = seen_with(sensor(EVIL, "<b>", 1.0, 9.0, 1.0, 0.5, 1.5))
    evidence = msgspec.structs.replace(event.evidence, sentence=dict.fromkeys(LANGUAGES, f"{EVIL} is wrong"))
    message = mail(
        notice(msgspec.structs.replace(event, evidence=evidence, device=EVIL, site="<hr>"), language=language)
    )
    shown = Reader(part(message, "html"))
    assert shown.tags.count("img") == 2
    assert (shown.tags.count("b"), shown.tags.count("hr")) == (1, 0)
    assert "<img src=http://evil.example/x>" in shown.text
    assert not any("evil.example" in address and "%3C" not in address for address in shown.addresses)
    assert "\u202e" not in message.as_string()


@pytest.mark.parametrize("breaking", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x00"])
def test_a_name_cannot_add_a_header(breaking: str) -> None:
    name = f"x{breaking}Bcc: eve@evil.example{breaking}{breaking}body"
    event = seen_with(sensor(name, name, 1.0, 9.0, 1.0, 0.5, 1.5))
    event = msgspec.structs.replace(event, device=name, site=name, correlation_id=name)
    message = mail(notice(event))
    assert message["Bcc"] is None
    assert message["To"] == ", ".join(RECIPIENTS)
    assert "Bcc: eve@evil.example" in message["Subject"]


def test_the_same_decision_is_the_same_message() -> None:
    first, again = notice(), notice()
    assert first.message_id == again.message_id
    assert mail(first)["Message-ID"] == first.message_id
    assert notice(why=Why.WORSE).message_id != first.message_id
    assert notice(anomaly(seq=88215)).message_id != first.message_id


def test_one_anomaly_is_one_thread() -> None:
    assert mail(notice())["References"] == mail(notice(anomaly(seq=9), why=Why.WORSE))["References"]
    assert mail(notice())["References"] != mail(notice(anomaly(anomaly_id="b")))["References"]


def test_no_absence_notice_answers_a_machine() -> None:
    assert mail(notice())["Auto-Submitted"] == "auto-generated"


def test_a_start_on_another_day_is_told_with_its_day() -> None:
    event = anomaly(since_ms=RAISED_AT_MS - 14 * 3_600_000)
    assert facts_of(notice(event)).details[0].value == "2.62, limit 1.00; outside since Sun 16 Nov, 23:54"


def test_an_empty_window_has_no_picture() -> None:
    bare = msgspec.structs.replace(anomaly().evidence, window=Window(measured_at_ms=[], series={}))
    assert facts_of(notice(anomaly(evidence=bare))).picture is None


def test_a_missing_language_falls_back_to_the_other() -> None:
    english = msgspec.structs.replace(anomaly().evidence, sentence={"en": "It shakes."})
    assert facts_of(notice(anomaly(evidence=english), language="pt")).sentence == "It shakes."


def test_every_phrase_is_filled_in() -> None:
    for language in LANGUAGES:
        for why in (Why.FIRST, Why.WORSE, Why.REPEAT_INTERVAL_ELAPSED):
            assert not re.search(r"[{}]", part(mail(notice(language=language, why=why)), "plain"))


def test_warming_up_can_be_done_twice() -> None:
    warm_up()
    warm_up()


def attachments(message: EmailMessage) -> Iterator[str]:
    return (inner.get_filename() or "" for inner in message.walk() if inner.get_content_maintype() == "image")


def test_the_pictures_travel_beside_the_html() -> None:
    related = mail(notice()).get_body(("related",))
    assert related is not None
    assert [inner.get_content_type() for inner in related.iter_parts()] == ["text/html", "image/png", "image/png"]
    assert list(attachments(mail(notice()))) == ["ronda.png", "chart.png"]
