"""A model that was promoted and is not used: said in both languages, once in a cooldown, by mail and webhook."""

from __future__ import annotations

import msgspec
import pytest

from cloud.notifications.decision import Policy, Why
from cloud.notifications.message import compose
from cloud.notifications.notice import Locale
from cloud.notifications.refusal import RefusalNotice, decide_refusal, refusal_notice
from cloud.notifications.webhook import body_of
from contract.events import ModelRef, ModelRefusedEvent

COOLDOWN_MS = Policy().cooldown_ms


def refused(*, in_use: str | None = "3", device: str = "pump-07") -> ModelRefusedEvent:
    return ModelRefusedEvent(
        site="plant-1",
        device=device,
        model=model("4"),
        in_use=None if in_use is None else model(in_use),
        why="the model at file:/models/4.json has sha256 00…, promoted was ab…: it was changed after its promotion",
        at_ms=1_763_800_000_000,
    )


def model(version: str) -> ModelRef:
    return ModelRef(name="ronda.plant-1.pump-07", version=version, run_id="1f" * 16, sha256="ab" * 32)


def notice(event: ModelRefusedEvent, language: str = "en") -> RefusalNotice:
    locale = msgspec.convert({"language": language, "zone": "America/Sao_Paulo"}, Locale)
    return refusal_notice(
        event, decide_refusal(None, 0, Policy()), base_url="http://ronda:8000/", locale=locale, at_ms=1
    )


@pytest.mark.parametrize(
    ("last_told_ms", "now_ms", "send", "reason"),
    [
        (None, 0, True, Why.MODEL_REFUSED),
        (0, COOLDOWN_MS - 1, False, Why.MODEL_REFUSED_COOLDOWN),
        (0, COOLDOWN_MS, True, Why.MODEL_REFUSED),
        (10, 0, True, Why.MODEL_REFUSED),
    ],
)
def test_a_person_is_told_once_in_a_cooldown(last_told_ms: int | None, now_ms: int, send: bool, reason: Why) -> None:
    decision = decide_refusal(last_told_ms, now_ms, Policy())
    assert (decision.send, decision.reason) == (send, reason)


def test_the_mail_says_which_is_not_used_why_what_judges_instead_and_what_to_do() -> None:
    mail = compose(notice(refused()), "ronda@plant.example", ["ana@plant.example"])
    text = mail.get_content()
    assert mail["Subject"] == "◆ Warning: pump-07, model version 4 is not used"
    assert "it was changed after its promotion" in text
    assert "Version 3 goes on judging" in text
    assert "ronda train plant-1/pump-07" in text
    assert "http://ronda:8000/ui/device/plant-1/pump-07" in text
    assert mail["Message-ID"] == compose(notice(refused()), "a@b.example", [])["Message-ID"]


def test_where_a_sound_copy_goes_on_the_mail_says_what_was_changed_and_that_the_version_judges() -> None:
    damaged = refused(in_use="4")
    mail = compose(notice(damaged), "a@b.example", [])
    assert mail["Subject"] == "◆ Warning: pump-07, what is kept of model version 4 was changed or damaged"
    assert "A sound copy of version 4 goes on judging" in mail.get_content()
    assert "Uma cópia íntegra da versão 4 continua avaliando" in compose(notice(damaged, "pt"), "a@b", []).get_content()
    assert "is not used" not in mail.get_content()


def test_without_a_model_in_use_the_mail_says_what_happens_meanwhile() -> None:
    assert (
        "where there is none, its readings are stored and judged later"
        in compose(notice(refused(in_use=None)), "a@b.example", []).get_content()
    )


def test_the_mail_speaks_portuguese() -> None:
    mail = compose(notice(refused(), "pt"), "a@b.example", [])
    assert mail["Subject"] == "◆ Alerta: pump-07, a versão 4 do modelo não é usada"
    assert "A versão 3 continua avaliando" in mail.get_content()


def test_a_name_with_braces_or_line_breaks_breaks_nothing() -> None:
    mail = compose(notice(refused(device="{why}\nBcc: x@y.example")), "a@b.example", [])
    assert mail["Bcc"] is None
    assert "{why}" in mail["Subject"]


def test_the_webhook_carries_the_refusal_and_a_sentence_in_both_languages() -> None:
    body = msgspec.json.decode(body_of(notice(refused())))
    assert (body["type"], body["decision"], body["id"]) == ("model.refused", "model_refused", refused().id)
    assert set(body["sentence"]) == {"en", "pt"}
    assert body["event"]["model"]["version"] == "4"
