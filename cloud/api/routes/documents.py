"""What the API is, for people and programs: `/docs`, `/openapi.json` (FastAPI's own) and `/asyncapi.yaml`."""

from __future__ import annotations

import asyncio
import json
from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from cloud.api.dependencies import services_of
from cloud.api.problems import not_found

router = APIRouter(include_in_schema=False)

# The page is whole by itself: no script, and nothing fetched from another host, as a plant's network has none.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent)}
body{font:16px/1.55 system-ui,sans-serif;max-width:60rem;margin:2.5rem auto;padding:0 1.2rem}
h1{font-size:1.7rem;margin:0}h2{margin:2.2rem 0 .4rem;text-transform:capitalize;font-size:1.15rem}
details{border-top:1px solid var(--line);padding:.55rem 0}summary{cursor:pointer}
code,pre{font:13px/1.5 ui-monospace,monospace}b{display:inline-block;min-width:4.2rem;font-size:.8rem}
pre{white-space:pre-wrap;background:color-mix(in srgb,currentColor 6%,transparent);padding:.8rem;border-radius:6px}
em{font-style:normal;border:1px solid var(--line);border-radius:99px;padding:.05rem .6rem;font-size:.78rem}
td{padding:.15rem 1rem .15rem 0;vertical-align:top}
"""
_TRY = """TOKEN=$(curl -s {base}/api/v1/auth/token -d username=admin -d password=… | jq -r .access_token)
curl -s {base}/api/v1/anomalies -H "Authorization: Bearer $TOKEN"
"""


@router.get("/")
async def root() -> Response:
    """People want the dashboard."""
    return RedirectResponse("/ui/", status_code=307)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Every address with what it needs and gives, as one page."""
    page = _page(request.app.openapi(), str(request.base_url).rstrip("/"))
    return Response(page, media_type="text/html", headers={"content-security-policy": _POLICY})


@router.get("/asyncapi.yaml")
async def asyncapi(request: Request) -> Response:
    """The messages on the broker (AsyncAPI 3), made from the contract."""
    path = services_of(request).parts.asyncapi
    try:
        document = await asyncio.to_thread(Path.read_bytes, path)
    except OSError as error:
        raise not_found(f"the AsyncAPI document {path.name} was not installed") from error
    return Response(document, media_type="application/yaml")


def _page(openapi: dict[str, Any], base: str) -> str:
    info = openapi["info"]
    subjects: dict[str, list[str]] = {}
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            entry = _entry(method.upper(), path, operation)
            subjects.setdefault((operation.get("tags") or ["other"])[0], []).append(entry)
    sections = "".join(f"<h2>{escape(name)}</h2>{''.join(entries)}" for name, entries in subjects.items())
    links = '<a href="/openapi.json">OpenAPI</a> · <a href="/asyncapi.yaml">AsyncAPI (MQTT)</a>'
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])} {links}</p>"
        f"<pre>{escape(_TRY.format(base=base))}</pre>{sections}</html>"
    )


def _entry(method: str, path: str, operation: dict[str, Any]) -> str:
    scopes = [scope for need in operation.get("security", []) for names in need.values() for scope in names]
    needs = " ".join(f"<em>{escape(scope)}</em>" for scope in dict.fromkeys(scopes))
    summary, _, more = operation.get("description", operation["summary"]).partition("\n\n")
    rows = "".join(_row(parameter) for parameter in operation.get("parameters", []))
    table = f"<table>{rows}</table>" if rows else ""
    told = f"<p>{escape(summary)}</p>" + (f"<p>{escape(more)}</p>" if more else "")
    head = f"<summary><b>{method}</b> <code>{escape(path)}</code> {needs}</summary>"
    return f"<details>{head}{told}{table}{_example(operation)}</details>"


def _row(parameter: dict[str, Any]) -> str:
    need = "required" if parameter.get("required") else "optional"
    told = parameter.get("description", "")
    return f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{need}</td><td>{escape(told)}</td></tr>"


def _example(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    kinds = "".join(f"<p>Body: <code>{escape(kind)}</code></p>" for kind in content)
    schemas = [body["schema"] for body in content.values() if "schema" in body]
    shown = "".join(f"<pre>{escape(_json(schema))}</pre>" for schema in schemas)
    return kinds + shown


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False)
