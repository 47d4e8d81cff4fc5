"""Every word of a message in both languages; a missing one is a type error, not a surprise in somebody's mail."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cloud.notifications.decision import Why
from cloud.notifications.notice import Language
from contract.events import Severity


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """The phrases of one language; `{…}` are filled in with values, never with phrases."""

    severity: Mapping[Severity, str]
    hue: Mapping[Severity, str]
    because: Mapping[Why, str]
    times_normal: str
    share_of_normal: str
    expected_fact: str
    combination: str
    chart_expected: str
    chart_outside: str
    chart_shaded: str
    alt: str
    above: str
    below: str
    within: str
    by_rule: str
    by_classifier: str
    sensor: str
    seen: str
    expected: str
    share: str
    open: str
    score: str
    score_value: str
    sent_because: str
    reminder: str
    held_back: str
    held_back_value: tuple[str, str, str]
    model: str
    model_value: str
    correlation_id: str
    footer: str


_EN = Words(
    severity={Severity.WARNING: "Warning", Severity.CRITICAL: "Critical"},
    hue={Severity.WARNING: "amber", Severity.CRITICAL: "orange"},
    because={
        Why.FIRST: "first message about this anomaly",
        Why.WORSE: "it got worse since the last message",
        Why.REPEAT_INTERVAL_ELAPSED: "reminder, it has not ended since the last message",
    },
    times_normal="{name} {ratio} times normal",
    share_of_normal="{name} at {percent} of normal",
    expected_fact="{name} {seen}, expected {range}",
    combination="unusual combination, above all {name}",
    chart_expected="grey: expected",
    chart_outside="{hue}: outside it",
    chart_shaded="shaded: since {since}",
    alt="{name}, {start} to {end}: seen {seen}, {relation} {range} (expected); outside its normal state since {since}.",
    above="above",
    below="below",
    within="within",
    by_rule="By rule: {source}",
    by_classifier="Learned from earlier alarms: {source}",
    sensor="Sensor",
    seen="Seen",
    expected="Expected",
    share="Share",
    open="Open {device}",
    score="Score",
    score_value="{score}, limit {limit}; outside since {since}",
    sent_because="Sent because",
    reminder="{because}; next reminder from {at} if it lasts",
    held_back="Held back",
    held_back_value=(
        "no message since the last one",
        "1 message since the last one",
        "{count} messages since the last one",
    ),
    model="Model",
    model_value="{name} v{version}, run",
    correlation_id="Correlation id",
    footer="Sent by Ronda for {site}. Times are {zone}.",
)

_PT = Words(
    severity={Severity.WARNING: "Alerta", Severity.CRITICAL: "Crítico"},
    hue={Severity.WARNING: "âmbar", Severity.CRITICAL: "laranja"},
    because={
        Why.FIRST: "primeira mensagem sobre esta anomalia",
        Why.WORSE: "piorou desde a última mensagem",
        Why.REPEAT_INTERVAL_ELAPSED: "lembrete, não terminou desde a última mensagem",
    },
    times_normal="{name} {ratio} vezes o normal",
    share_of_normal="{name} a {percent} do normal",
    expected_fact="{name} {seen}, esperado {range}",
    combination="combinação incomum, sobretudo {name}",
    chart_expected="cinza: esperado",
    chart_outside="{hue}: fora da faixa",
    chart_shaded="sombreado: desde {since}",
    alt=(
        "{name}, de {start} a {end}: medido {seen}, {relation} {range} (esperado); fora do estado normal desde {since}."
    ),
    above="acima de",
    below="abaixo de",
    within="dentro de",
    by_rule="Por regra: {source}",
    by_classifier="Aprendido de alarmes anteriores: {source}",
    sensor="Sensor",
    seen="Medido",
    expected="Esperado",
    share="Contribuição",
    open="Abrir {device}",
    score="Escore",
    score_value="{score}, limite {limit}; fora desde {since}",
    sent_because="Motivo do envio",
    reminder="{because}; próximo lembrete a partir de {at}, se continuar",
    held_back="Retidas",
    held_back_value=(
        "nenhuma mensagem desde a última",
        "1 mensagem desde a última",
        "{count} mensagens desde a última",
    ),
    model="Modelo",
    model_value="{name} v{version}, execução",
    correlation_id="Id de correlação",
    footer="Enviado pela Ronda para {site}. Horários em {zone}.",
)

WORDS: Mapping[Language, Words] = {"en": _EN, "pt": _PT}
