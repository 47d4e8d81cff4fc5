"""Tells people of a model that was promoted and not put to use: whether it is said, and in which words.

No alarm: nothing on the machine changed. But what somebody believes to be in force is not, so somebody must know.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from cloud.notifications import times
from cloud.notifications.decision import Decision, Policy, Why
from cloud.notifications.notice import Language, Locale, Notice
from cloud.notifications.plain import one_line
from contract.events import ModelRefusedEvent
from contract.identity import digest_id

_ID_DOMAIN = "notifications.ronda"
_GLYPH = "◆"


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    """The phrases of one language; `{…}` are filled in with values.

    `damaged`, `copied` and `restore` are for a version that goes on by our own copy, since what is kept of it is not
    what was promoted.
    """

    subject: str
    refused: str
    goes_on: str
    nobody: str
    remedy: str
    open: str
    model: str
    footer: str
    damaged_subject: str
    damaged: str
    copied: str
    restore: str


_WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        subject="Warning: {device}, model version {version} is not used",
        refused="Version {version} of the model of {device} was promoted and is not used: {why}.",
        goes_on="Version {version} goes on judging this machine; no reading is lost.",
        nobody=(
            "Until this is mended an earlier version that is sound judges this machine; "
            "where there is none, its readings are stored and judged later."
        ),
        remedy="To mend it: train again (ronda train {site}/{device}), or put an earlier version back in force.",
        open="Open {device}",
        model="Model",
        footer="Sent by Ronda for {site}. Times are {zone}.",
        damaged_subject="Warning: {device}, what is kept of model version {version} was changed or damaged",
        damaged="What is kept of version {version} of the model of {device} is refused: {why}.",
        copied="A sound copy of version {version} goes on judging this machine; no reading is lost.",
        restore="To mend it: find out who changed it, and restore it or train again (ronda train {site}/{device}).",
    ),
    "pt": _Words(
        subject="Alerta: {device}, a versão {version} do modelo não é usada",
        refused="A versão {version} do modelo de {device} foi promovida e não é usada: {why}.",
        goes_on="A versão {version} continua avaliando esta máquina; nenhuma leitura se perde.",
        nobody=(
            "Até que isto seja corrigido, uma versão anterior íntegra avalia esta máquina; "
            "se não houver nenhuma, as leituras são guardadas e avaliadas depois."
        ),
        remedy="Para corrigir: treine de novo (ronda train {site}/{device}) ou volte a uma versão anterior.",
        open="Abrir {device}",
        model="Modelo",
        footer="Enviado pela Ronda para {site}. Horários em {zone}.",
        damaged_subject="Alerta: {device}, o arquivo da versão {version} do modelo foi alterado ou danificado",
        damaged="O arquivo da versão {version} do modelo de {device} é recusado: {why}.",
        copied="Uma cópia íntegra da versão {version} continua avaliando esta máquina; nenhuma leitura se perde.",
        restore="Para corrigir: veja quem o alterou e restaure-o, ou treine de novo (ronda train {site}/{device}).",
    ),
}


class RefusalNotice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to people about one refused model."""

    event: ModelRefusedEvent
    decision: Decision
    url: str
    locale: Locale
    at_ms: int

    @property
    def message_id(self) -> str:
        """Doing it twice gives the same one."""
        return f"<{digest_id(self.event.id, self.decision.reason)}@{_ID_DOMAIN}>"

    @property
    def thread_id(self) -> str:
        """One machine's refusals are one thread."""
        return f"<{digest_id(self.event.site, self.event.device, self.decision.reason)}@{_ID_DOMAIN}>"

    @property
    def correlation_id(self) -> str:
        """No reading led here: the refusal names itself."""
        return self.event.id

    @property
    def subject(self) -> str:
        """What a phone shows."""
        return f"{_GLYPH} {_said(self.event, self.locale.language).subject}"


AnyNotice = Notice | RefusalNotice


def decide_refusal(last_told_ms: int | None, now_ms: int, policy: Policy) -> Decision:
    """Is a person told? Of one machine at most once in a cooldown; `last_told_ms`: when they last were."""
    if last_told_ms is not None and 0 <= now_ms - last_told_ms < policy.cooldown_ms:
        return Decision(send=False, reason=Why.MODEL_REFUSED_COOLDOWN)
    return Decision(send=True, reason=Why.MODEL_REFUSED)


def refusal_notice(
    event: ModelRefusedEvent, decision: Decision, *, base_url: str, locale: Locale, at_ms: int
) -> RefusalNotice:
    """The message that `decision` asks for; its link is the machine's page below `base_url`."""
    page = f"{base_url.rstrip('/')}/ui/device/{quote(event.site, safe='')}/{quote(event.device, safe='')}"
    return RefusalNotice(event=event, decision=decision, url=page, locale=locale, at_ms=at_ms)


def sentence(event: ModelRefusedEvent) -> dict[str, str]:
    """What happened, by language."""
    return {language: _said(event, language).refused for language in _WORDS}


def refusal_text(notice: RefusalNotice) -> str:
    """The mail's text."""
    event, locale = notice.event, notice.locale
    words = _said(event, locale.language)
    when = times.day_and_clock(event.at_ms, locale, "%H:%M:%S")
    lines = [
        f"{_GLYPH} {one_line(event.device)} · {one_line(event.site)} · {when}",
        "",
        words.refused,
        words.nobody if event.in_use is None else words.goes_on.format(version=one_line(event.in_use.version)),
        words.remedy,
        "",
        f"{words.open}: {notice.url}",
        "",
        f"{words.model}: {one_line(event.model.name)} v{one_line(event.model.version)}, {one_line(event.model.run_id)}",
        f"SHA-256: {one_line(event.model.sha256)}",
        "",
        "-- ",
        words.footer.format(site=one_line(event.site), zone=times.zone_name(event.at_ms, locale)),
    ]
    return "\n".join(lines) + "\n"


def _said(event: ModelRefusedEvent, language: Language) -> _Words:
    """The phrases with what is the same in all of them filled in, what is still open as it was."""
    facts = {
        "site": one_line(event.site),
        "device": one_line(event.device),
        "version": one_line(event.model.version),
        "why": one_line(event.why).rstrip("."),
    }
    words = _WORDS[language]
    if event.in_use == event.model:
        words = msgspec.structs.replace(
            words,
            subject=words.damaged_subject,
            refused=words.damaged,
            goes_on=words.copied,
            remedy=words.restore,
        )
    filled = {name: getattr(words, name).format(**facts) for name in ("subject", "refused", "remedy", "open")}
    return msgspec.structs.replace(words, **filled)
