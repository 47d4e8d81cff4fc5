"""What the API says about itself, and the mails that it shows."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from email.message import EmailMessage

import httpx

from cloud.api.app import create_api
from cloud.api.ports import Parts
from cloud.notifications.mailbox import Mailbox
from cloud.notifications.message import CORRELATION_HEADER
from tests.api.conftest import bearer, http_on
from tests.api.test_ingest import message


async def test_the_documentation_is_whole_without_any_other_host(http: httpx.AsyncClient):
    answer = await http.get("/docs")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    fetched = re.findall(r"(?:src|href)=\"([^\"]+)\"", answer.text)
    assert fetched
    assert all(link.startswith("/") for link in fetched)
    assert "<script" not in answer.text
    for path in ("/api/v1/ingest", "/api/v1/simulate/anomaly-event", "/api/v1/trace/{correlation_id}", "data:read"):
        assert path in answer.text


async def test_the_openapi_document_says_what_is_answered(http: httpx.AsyncClient):
    document = (await http.get("/openapi.json")).json()
    anomaly = document["components"]["schemas"]["AnomalyView"]["properties"]
    assert {"sensors", "question", "cause", "model", "correlation_id", "notification"} <= set(anomaly)
    referred = re.findall(r"#/components/schemas/([A-Za-z]+)", json.dumps(document))
    assert set(referred) <= set(document["components"]["schemas"])
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]


async def test_the_root_leads_people_to_the_dashboard(http: httpx.AsyncClient):
    answer = await http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")


async def test_the_messages_document_is_served_and_missed_by_name(http: httpx.AsyncClient, parts: Parts):
    assert (await http.get("/asyncapi.yaml")).status_code == 404
    parts.asyncapi.write_text("asyncapi: 3.0.0\n")
    answer = await http.get("/asyncapi.yaml")
    assert (answer.status_code, answer.text) == (200, "asyncapi: 3.0.0\n")


async def test_mails_can_be_listed_and_read(http: httpx.AsyncClient, parts: Parts):
    assert isinstance(parts.mailbox, Mailbox)
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"], mail[CORRELATION_HEADER] = "pump-07", "ronda@x", "team@x", "order-1"
    mail.set_content("vibration is up")
    mail_id = parts.mailbox.keep(mail.as_bytes(), 1_763_800_000_000)
    read = bearer("data:read")
    [line] = (await http.get("/api/v1/mails", headers=read)).json()["items"]
    assert (line["id"], line["correlation_id"], line["received_at"]) == (mail_id, "order-1", "2025-11-22T08:26:40.000Z")
    body = (await http.get(f"/api/v1/mails/{mail_id}", headers=read)).json()
    assert "vibration is up" in body["text"]
    for unknown in ("nothing", "..%2f..%2fetc%2fpasswd", "1763800000000-0000000000000000"):
        assert (await http.get(f"/api/v1/mails/{unknown}", headers=read)).status_code == 404


async def test_without_a_local_mail_server_that_is_said(parts: Parts):
    async with http_on(create_api(replace(parts, mailbox=None))) as http:
        assert (await http.get("/api/v1/mails", headers=bearer())).json() == {"items": [], "local": False}
        assert "EMAIL_SMTP_HOST" in (await http.get("/api/v1/mails/x", headers=bearer())).json()["detail"]


async def test_no_device_becomes_a_label_and_no_path_of_a_stranger_a_time_series(http: httpx.AsyncClient):
    await http.post("/api/v1/ingest", json=message(device="pump-4711"), headers=bearer())
    await http.delete("/api/v1/devices/plant-1/pump-4712", headers=bearer())
    await http.get("/api/nope-4713", headers=bearer())
    await http.request("SPAM4714", "/api/nope", headers=bearer())
    text = (await http.get("/metrics", headers=bearer())).text
    assert "471" not in re.sub(r" [\d.e+]+$", "", text, flags=re.MULTILINE)
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(name.startswith(("ronda_", "process_")) for name in names)
    assert 'ronda_ingest_readings_total{outcome="accepted"} 1.0' in text


async def test_a_request_is_logged_with_who_what_and_its_id_and_no_secret(http: httpx.AsyncClient, caplog):
    caplog.set_level(logging.INFO, "ronda")
    await http.post("/api/v1/ingest", json=message(correlation_id="order-9"), headers=bearer())
    await http.post("/api/v1/auth/token", data={"username": "ana", "password": "hunter2"})
    [done] = [each for each in caplog.records if each.msg == "request.done" and each.path == "/api/v1/ingest"]
    assert (done.agent, done.correlation_id, done.subject, done.status) == ("api", "order-9", "tester", 202)
    assert "hunter2" not in "".join(str(vars(each)) for each in caplog.records)
