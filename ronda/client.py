"""The Python client of Ronda's API: the dashboard and the command ask through it, so permissions are checked once.

In one process with the API: `RondaClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False))`; over the
network: `RondaClient("https://ronda.example")`; with a private authority also
`tls=ssl.create_default_context(cafile="ca.crt")`. Every answer is the API's JSON as it stands in `/docs`; every refusal
is an `ApiError` that carries the problem's own words.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import msgspec

from contract.errors import RondaError, TransientError

try:
    import httpx
except ImportError as error:
    raise ImportError("the API's client needs httpx: pip install 'ronda[cloud]' or 'ronda[dashboard]'") from error

Json = dict[str, Any]
TokenSource = str | Callable[[], str | None] | None

_V1 = "/api/v1"


class ApiError(RondaError):
    """The API refused or failed: its problem (RFC 9457), told in `detail`; `reason` is the code to decide on."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.title = str(problem.get("title", "Error"))
        self.detail = str(problem.get("detail") or f"the API answered {status}")
        self.reason = str(problem.get("reason", "unknown"))
        self.request_id = cast("str | None", problem.get("request_id"))
        self.errors = cast("list[Json]", problem.get("errors", []))
        self.problem = dict(problem)
        super().__init__(self.detail)


class RondaClient:
    """Asks the API on behalf of whoever the token names; `on_behalf_of` gives a view for somebody else."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        *,
        token: TokenSource = None,
        transport: httpx.AsyncBaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        """`tls`: whom to trust at https://, by default the usual public authorities."""
        self._token = token
        # A body that never leaves the process is not worth compressing.
        headers = {"accept-encoding": "identity"} if transport is not None else {}
        self._http = httpx.AsyncClient(
            base_url=base_url, transport=transport, verify=tls or True, timeout=timeout_s, headers=headers
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    def on_behalf_of(self, token: TokenSource) -> RondaClient:
        """The same connections with another caller's token: one view per request of the dashboard."""
        view = object.__new__(RondaClient)
        view._token, view._http = token, self._http
        return view

    async def login(self, username: str, password: str) -> Json:
        """`{access_token, token_type, expires_in, scope}`; the client uses the token from here on.

        `username` is a person's, or a device's `site/device` with its MQTT password.
        """
        form = {"username": username, "password": password}
        token = await self._ask("POST", "/auth/token", form=form)
        self._token = str(token["access_token"])
        return token

    async def whoami(self) -> Json:
        """`{subject, scopes, devices, expires_at_ms}` of the token."""
        return await self._ask("GET", "/auth/session")

    async def ingest(self, messages: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, stored: bool = False) -> Json:
        """Send telemetry messages, each with `site` and `device`: `{accepted, correlation_ids}`.

        `stored` waits until the store has every reading, not only the broker.
        """
        body = msgspec.json.encode(messages)
        return await self._ask("POST", "/ingest", {"wait": "stored" if stored else None}, body=body)

    async def simulate(self, fault: str | None = None) -> Json:
        """Let a rested demo machine fall ill (`none`: stay well): `{correlation_id, site, device, fault}`."""
        body = msgspec.json.encode({} if fault is None else {"fault": fault})
        return await self._ask("POST", "/simulate/anomaly-event", body=body)

    async def trace(self, correlation_id: str) -> Json:
        """The story of one correlation id.

        `{correlation_id, site, device, traced, readings, steps: [{station, did, at_ms, at, after_ms, since_start_ms,
        readings, detail}], anomalies, notifications, rejected}`; `steps` in the order in which they happened.
        """
        return await self._ask("GET", f"/trace/{_segment(correlation_id)}")

    async def anomalies(
        self,
        *,
        site: str | None = None,
        device: str | None = None,
        phase: str | None = None,
        since: int | str | None = None,
        until: int | str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Json:
        """`{items: [anomaly…], next}`, newest first; `phase` also takes `active`. Times: epoch ms or ISO 8601.

        An anomaly: `{id, site, device, phase, active, severity, score, peak_score, since_ms, raised_at_ms,
        detected_at_ms, cleared_at_ms, since, raised_at, …, sensors: [{name, unit, share, seen, expected, expected_low,
        expected_high, ratio}], sentence: {en, pt}, kind, question, cause: {fault, by, candidates, sentence, source},
        model: {name, version, run_id}, correlation_id, notification, verdict}` where `cause`, `notification` (the last
        one) and `verdict: {verdict, cause, comment, given_by, given_at_ms, …}` may be None.
        """
        query = {"site": site, "device": device, "phase": phase, "from": since, "to": until}
        return await self._ask("GET", "/anomalies", query | {"limit": limit, "cursor": cursor})

    async def anomaly(self, anomaly_id: str) -> Json:
        """One anomaly with all its `notifications` and its `window: {measured_at_ms, series}`."""
        return await self._ask("GET", f"/anomalies/{_segment(anomaly_id)}")

    async def give_verdict(
        self, anomaly_id: str, verdict: str, *, cause: str | None = None, comment: str | None = None
    ) -> Json:
        """`{anomaly_id, site, device, verdict: {…}, precision: {true, false, planned, share}}` of the alarm's model.

        `verdict` is `true`, `false` or `planned`; `cause` names the fault that was found.
        """
        body = msgspec.json.encode({"verdict": verdict, "cause": cause, "comment": comment})
        return await self._ask("POST", f"/anomalies/{_segment(anomaly_id)}/verdict", body=body)

    async def take_back_verdict(self, anomaly_id: str) -> None:
        """Nobody judged this alarm after all."""
        await self._ask("DELETE", f"/anomalies/{_segment(anomaly_id)}/verdict")

    async def models(self, site: str | None = None, device: str | None = None) -> Json:
        """`{items: [model…]}`: those in force and those that wait, or with site and device all of one machine.

        A model: `{site, device, version, name, run_id, status, rows, trained_from_ms, trained_through_ms,
        created_at_ms, …, exceedance, factor, code_version, data_hash, sha256, excluded, precision: {true, false,
        planned, share}}`; `status` is one of candidate, champion, retired, refused.
        """
        if site is not None and device is not None:
            return await self._ask("GET", f"/devices/{_segment(site)}/{_segment(device)}/models")
        return await self._ask("GET", "/models", {"site": site})

    async def promote_model(self, site: str, device: str, version: str, *, force: bool = False) -> Json:
        """`{site, device, version, name, run_id, promoted_at_ms, promoted_at}`; `force`: against its back-test."""
        path = f"/devices/{_segment(site)}/{_segment(device)}/models/{_segment(version)}/promote"
        return await self._ask("POST", path, body=msgspec.json.encode({"force": force}))

    async def roll_back_model(self, site: str, device: str, to: str | None = None) -> Json:
        """The same, of the version before the one in force or of `to`."""
        path = f"/devices/{_segment(site)}/{_segment(device)}/models/rollback"
        return await self._ask("POST", path, body=msgspec.json.encode({"to": to}))

    async def readings(
        self,
        site: str,
        device: str,
        *,
        since: int | str | None = None,
        until: int | str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Json:
        """`{items: [reading…], next}`, newest first.

        A reading: `{measured_at_ms, measured_at, received_at_ms, values, boot, seq, correlation_id, replayed}`.
        """
        query = {"site": site, "device": device, "from": since, "to": until, "limit": limit, "cursor": cursor}
        return await self._ask("GET", "/readings", query)

    async def chart(
        self,
        site: str,
        device: str,
        *,
        since: int | str | None = None,
        until: int | str | None = None,
        points: int = 2000,
    ) -> Json:
        """`{site, device, rows, whole, series: [{name, unit, measured_at_ms: […], values: […]}]}`, oldest first.

        Each series is thinned to at most `points`, its spikes kept.
        """
        query = {"site": site, "device": device, "from": since, "to": until, "format": "columns", "points": points}
        return await self._ask("GET", "/readings", query)

    async def devices(self, *, site: str | None = None, origin: str | None = None) -> Json:
        """`{items: [device…]}`, worst state first.

        A device: `{site, device, origin, state, last_seen_ms, last_seen, metrics: [{name, unit, low, high}], model:
        {name, version, run_id, trained_through_ms, promoted_at_ms} | None, anomaly_id | None, created_at_ms, machine:
        {state, maturity, regime, sensors, remaining, measured_at_ms} | None, drifting: [channel…]}`; `state` is one of
        learning, healthy, off, warning, critical, no_data.
        """
        return await self._ask("GET", "/devices", {"site": site, "origin": origin})

    async def drift(self, site: str, device: str, *, limit: int | None = None) -> Json:
        """`{items: [{from_ms, through_ms, readings, version, channels: [{name, psi, ks, p_value, drifted}]}]}`.

        An item is an hour in which the machine's inputs were compared with what its model learned from, newest first.
        """
        return await self._ask("GET", f"/devices/{_segment(site)}/{_segment(device)}/drift", {"limit": limit})

    async def add_device(
        self,
        site: str,
        device: str,
        metrics: Iterable[Mapping[str, Any]] | None = None,
        *,
        origin: str = "provisioned",
        learn_rows: int | None = None,
    ) -> Json:
        """`{site, device, username, password}`: the broker credentials of the new device; told this once."""
        body: Json = {"site": site, "device": device, "origin": origin, "learn_rows": learn_rows}
        if metrics is not None:
            body["metrics"] = [dict(metric) for metric in metrics]
        return await self._ask("POST", "/devices", body=msgspec.json.encode(body))

    async def revoke_device(self, site: str, device: str) -> None:
        """Take the device's credentials away; what it stored stays."""
        await self._ask("DELETE", f"/devices/{_segment(site)}/{_segment(device)}")

    async def limits(self, site: str, device: str) -> Json:
        """`{items: [{metric, unit, low, high, severity, source, label: {en, pt}, class}]}`; `class` of a standard's."""
        return await self._ask("GET", f"/devices/{_segment(site)}/{_segment(device)}/limits")

    async def set_limits(self, site: str, device: str, limits: Iterable[Mapping[str, Any]]) -> Json:
        """The same, of these limits and no others: each `{metric, low, high, severity, label}`, at least one bound.

        Or `{"iso20816": {"metric": …, "class": "group2-rigid"}}` for the zones of a class of machines.
        """
        body = msgspec.json.encode([dict(limit) for limit in limits])
        return await self._ask("PUT", f"/devices/{_segment(site)}/{_segment(device)}/limits", body=body)

    async def ledger(self, *, site: str | None = None, device: str | None = None) -> Json:
        """`{items: [{site, device, counted, sent, stored, rejected, pending, lost, unnumbered}]}`.

        None where it cannot be known, since the device does not count (`counted` is then `door`).
        """
        return await self._ask("GET", "/ledger", {"site": site, "device": device})

    async def quarantine(
        self,
        *,
        site: str | None = None,
        device: str | None = None,
        stage: str | None = None,
        reason: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Json:
        """`{items: [entry…], next, totals: {entries, waiting, bytes, archived, archives}, causes: […]}`, newest first.

        An entry: `{id, site, device, boot, seq, stage, reason, detail, topic, size, beginning, received_at_ms,
        received_at, correlation_id, replayed_at, settled}`; `state` is `waiting` (the default), `settled` or `all`.
        """
        query = {"site": site, "device": device, "stage": stage, "reason": reason, "state": state}
        return await self._ask("GET", "/quarantine", query | {"limit": limit, "cursor": cursor})

    async def refusal(self, rejection_id: str) -> Json:
        """One entry of it, with `payload: {size, shown, text, hex}`, `advice` and `replayable`."""
        return await self._ask("GET", f"/quarantine/{_segment(rejection_id)}")

    async def replay(self, **chosen: Any) -> Json:
        """`{items: [{id, fate, readings, reason, detail}], next}`: what became of each, oldest first.

        Chosen by `ids`, or by `site`, `device`, `stage`, `reason`, `before_ms`; `cursor` goes on where `next` says.
        """
        return await self._ask("POST", "/quarantine/replay", body=msgspec.json.encode(chosen))

    async def archive(self, **chosen: Any) -> Json:
        """`{archived, archives: […]}`: moved out of the quarantine, chosen as for `replay`."""
        return await self._ask("POST", "/quarantine/archive", body=msgspec.json.encode(chosen))

    async def unarchive(self, archive: str) -> Json:
        """`{ids: […]}`: what the archive of this name gave back to the quarantine, oldest first."""
        return await self._ask("POST", "/quarantine/unarchive", body=msgspec.json.encode({"archive": archive}))

    async def metrics(self, site: str, device: str) -> Json:
        """`{items: [{name, unit, low, high}]}`; no bound where none is given."""
        return await self._ask("GET", f"/devices/{_segment(site)}/{_segment(device)}/metrics")

    async def change_metrics(self, site: str, device: str, changes: Iterable[Mapping[str, Any]]) -> Json:
        """The same, after these have another unit or range: each `{name}` with what is to be otherwise."""
        body = msgspec.json.encode([dict(change) for change in changes])
        return await self._ask("PATCH", f"/devices/{_segment(site)}/{_segment(device)}/metrics", body=body)

    async def mails(self, limit: int | None = None) -> Json:
        """`{items: [mail…], local}`, newest first; `local` is False where mails go to somebody else's server.

        A mail: `{id, subject, sender, to, date, message_id, correlation_id, received_at_ms, received_at}`.
        """
        return await self._ask("GET", "/mails", {"limit": limit})

    async def mail(self, mail_id: str) -> Json:
        """One mail: the same and `{headers: [[name, value]…], text, html}`; `html` is for a sandboxed frame."""
        return await self._ask("GET", f"/mails/{_segment(mail_id)}")

    async def readiness(self) -> Json:
        """`{ready, missing: […], …}`: being not ready is an answer, not an error."""
        response = await self._send("GET", "/readyz", {}, None, None)
        return _decoded(response)

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: bytes | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Json:
        response = await self._send(method, _V1 + path, query or {}, body, form)
        answer = _decoded(response)
        if response.is_success:
            return answer
        raise ApiError(response.status_code, answer)

    async def _send(
        self, method: str, path: str, query: Mapping[str, Any], body: bytes | None, form: Mapping[str, str] | None
    ) -> httpx.Response:
        headers = {} if body is None else {"content-type": "application/json"}
        token = self._token() if callable(self._token) else self._token
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        params = {name: value for name, value in query.items() if value is not None}
        try:
            return await self._http.request(method, path, params=params, content=body, data=form, headers=headers)
        except httpx.TransportError as error:
            url = self._http.base_url
            raise TransientError(f"no answer from Ronda's API at {url} ({error!r}); is `ronda up` running?") from error


def _segment(text: str) -> str:
    """One path segment, whatever the id contains."""
    return quote(text, safe="")


def _decoded(response: httpx.Response) -> Json:
    """The JSON object of an answer; a proxy's HTML page is told as what it is."""
    if not response.content:
        return {}
    try:
        return msgspec.json.decode(response.content, type=Json)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kind = response.headers.get("content-type", "nothing known")
        raise ApiError(response.status_code, {"detail": f"expected JSON from the API, got {kind}"}) from error
