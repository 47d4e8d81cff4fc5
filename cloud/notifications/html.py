"""The mail as people see it: tables and inline styles, 608 wide, nothing fetched from anywhere.

Every value goes through `escape`, so markup in a device's or sensor's name is text.
"""

from __future__ import annotations

from html import escape

from cloud.notifications import palette
from cloud.notifications.facts import Detail, Facts, Row

# System fonts: a mail fetches nothing.
_FONT = "Inter,-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace"
_TABLE = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"'


def html_part(facts: Facts, *, chart: str, mark: str, chart_size: tuple[int, int], mark_size: int) -> str:
    """The document. `chart` and `mark` are the addresses of the two pictures, such as `cid:chart@ronda`."""
    hue = palette.HUE[facts.severity]
    card = (
        f"background:{palette.SURFACE};border:1px solid {palette.LINE};border-top:4px solid {hue.shape};"
        "border-radius:8px;padding:24px 24px 18px"
    )
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="{"pt-BR" if facts.language == "pt" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light"><meta name="supported-color-schemes" content="light">'
        f"<title>{escape(facts.subject)}</title><style>:root{{color-scheme:light}}</style></head>\n"
        f'<body style="margin:0;padding:0;background:{palette.PAGE};color-scheme:light">\n'
        f'{_TABLE} style="background:{palette.PAGE}"><tr><td align="center" style="padding:16px 6px">\n'
        f'<table role="presentation" width="608" cellpadding="0" cellspacing="0" border="0" style="width:100%;'
        f'max-width:608px;font-family:{_FONT};color:{palette.TEXT};text-align:left">\n'
        f"{_header(facts, mark, mark_size)}\n"
        f'<tr><td style="{card}">\n{_body(facts, chart, chart_size)}\n</td></tr>\n'
        f"{_footer(facts)}\n</table>\n</td></tr></table>\n</body></html>\n"
    )


def _header(facts: Facts, mark: str, mark_size: int) -> str:
    return (
        f'<tr><td style="padding:0 4px 12px">{_TABLE}><tr>'
        f'<td width="{mark_size + 8}" style="vertical-align:middle"><img src="{escape(mark)}" width="{mark_size}" '
        f'height="{mark_size}" alt="" style="display:block;border:0"></td>'
        '<td style="font-size:15px;line-height:20px;font-weight:600">Ronda</td>'
        f'<td align="right" style="font-size:13px;line-height:20px;color:{palette.TEXT_LABEL}">'
        f"{escape(facts.site)}</td></tr></table></td></tr>"
    )


def _body(facts: Facts, chart: str, chart_size: tuple[int, int]) -> str:
    sentence = "margin:16px 0 18px;font-size:20px;line-height:28px;font-weight:600"
    parts = [
        _state(facts),
        f'<h1 style="{sentence}">{escape(facts.sentence)}</h1>',
        _looks(facts),
        _picture(facts, chart, chart_size),
        _table(facts),
        _button(facts),
        _details(facts),
    ]
    return "\n".join(part for part in parts if part)


def _state(facts: Facts) -> str:
    hue = palette.HUE[facts.severity]
    badge = (
        f"display:inline-block;background:{hue.tint};color:{hue.text};border-radius:4px;padding:0 8px;"
        "font-size:12px;line-height:22px;font-weight:600;white-space:nowrap"
    )
    return (
        f"{_TABLE}><tr>"
        f'<td style="font-size:14px;line-height:22px;font-weight:600"><span style="{badge}">'
        f'<span style="font-size:15px">{facts.glyph}</span>&nbsp;{escape(facts.badge)}</span>'
        f"&nbsp;&nbsp;{escape(facts.device)}</td>"
        f'<td align="right" style="font-size:13px;line-height:22px;color:{palette.TEXT_LABEL};white-space:nowrap">'
        f"{escape(facts.when)}</td></tr></table>"
    )


def _looks(facts: Facts) -> str:
    """Under the sentence and smaller than it: a help beside the evidence, never in its place."""
    if facts.looks is None:
        return ""
    return (
        f'<p style="margin:0 0 2px;font-size:14px;line-height:20px">{escape(facts.looks.told)}</p>\n'
        f'<p style="margin:0 0 18px;font-size:12px;line-height:16px;color:{palette.TEXT_LABEL}">'
        f"{escape(facts.looks.source)}</p>"
    )


def _picture(facts: Facts, chart: str, chart_size: tuple[int, int]) -> str:
    if facts.picture is None:
        return ""
    width, height = chart_size
    legend = "".join(f" &nbsp; {escape(part)}" for part in facts.picture.legend)
    return (
        f'<p style="margin:0 0 8px;font-size:12px;line-height:16px;color:{palette.TEXT_PROSE}">'
        f'<b style="font-weight:600;color:{palette.TEXT}">{escape(facts.picture.title)}</b>{legend}</p>\n'
        f'<img src="{escape(chart)}" width="{width}" height="{height}" alt="{escape(facts.picture.alt)}" '
        f'style="display:block;border:0;width:100%;max-width:{width}px;height:auto;margin:0 0 12px">'
    )


def _table(facts: Facts) -> str:
    head = f"padding:6px 0 6px 8px;font-size:12px;line-height:16px;font-weight:500;color:{palette.TEXT_LABEL};"
    edge = f"border-bottom:1px solid {palette.LINE_STRONG};"
    first, *others = facts.heads
    cells = f'<th scope="col" align="left" style="{head}{edge}padding-left:0">{escape(first)}</th>' + "".join(
        f'<th scope="col" align="right" style="{head}{edge}">{escape(name)}</th>' for name in others
    )
    rows = "\n".join(_row(row, facts) for row in facts.rows)
    return (
        '<table width="100%" cellpadding="0" cellspacing="0" border="0" style="font-variant-numeric:tabular-nums">'
        f"<tr>{cells}</tr>\n{rows}\n</table>"
    )


def _row(row: Row, facts: Facts) -> str:
    cell = f"padding:9px 0 9px 8px;font-size:14px;line-height:20px;border-bottom:1px solid {palette.LINE};"
    value = f"font-weight:600;color:{palette.HUE[facts.severity].text}" if row.outside else ""
    return (
        f'<tr><td style="{cell}padding-left:0">{escape(row.sensor)}</td>'
        f'<td align="right" style="{cell}white-space:nowrap;{value}">{escape(row.seen)}</td>'
        f'<td align="right" style="{cell}color:{palette.TEXT_PROSE}">{escape(row.expected)}</td>'
        f'<td align="right" style="{cell}white-space:nowrap;color:{palette.TEXT_PROSE}">{escape(row.share)}</td></tr>'
    )


def _button(facts: Facts) -> str:
    link = (
        f"display:inline-block;padding:12px 20px;font-size:14px;line-height:20px;font-weight:600;"
        f"color:{palette.ON_INK};text-decoration:none"
    )
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:20px 0"><tr>'
        f'<td bgcolor="{palette.INK}" style="border-radius:6px;background:{palette.INK}">'
        f'<a href="{escape(facts.url)}" style="{link}">{escape(facts.button)}</a></td></tr></table>'
    )


def _details(facts: Facts) -> str:
    rows = "\n".join(_detail(detail) for detail in facts.details)
    return f'{_TABLE} style="border-top:1px solid {palette.LINE};padding-top:14px">\n{rows}\n</table>'


def _detail(detail: Detail) -> str:
    size = "font-size:13px;line-height:20px;vertical-align:top"
    code = (
        f'<span style="font-family:{_MONO};font-size:12px;word-break:break-all">{escape(detail.code)}</span>'
        if detail.code
        else ""
    )
    value = " ".join(part for part in (escape(detail.value), code) if part)
    return (
        f'<tr><td width="128" style="{size};padding:3px 0;color:{palette.TEXT_LABEL}">{escape(detail.label)}</td>'
        f'<td style="{size};padding:3px 0 3px 8px">{value}</td></tr>'
    )


def _footer(facts: Facts) -> str:
    return (
        f'<tr><td style="padding:12px 4px 0;font-size:12px;line-height:16px;color:{palette.TEXT_LABEL}">'
        f"{escape(facts.footer)}</td></tr>"
    )
