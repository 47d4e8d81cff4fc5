"""Each log line is one JSON object, with `agent` and, where there is one, `correlation_id`."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

import msgspec

# Which agent is at work in this task; a part that is no agent says its process's name.
current_agent: ContextVar[str] = ContextVar("current_agent", default="")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
# Ten files of ten megabytes are days of a small plant.
_FILE_BYTES = 10_000_000
_FILES = 10


class JsonFormatter(logging.Formatter):
    """A record and its extra fields as one line of JSON."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line, without the newline."""
        fields: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "agent": current_agent.get() or self._process,
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields, enc_hook=str).decode()


def set_up_logs(process: str, level: str, directory: Path | None) -> None:
    """Log to `directory/{process}.jsonl`, or to standard error where there is none (a container)."""
    handler: logging.Handler
    if directory is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        directory.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(directory / f"{process}.jsonl", maxBytes=_FILE_BYTES, backupCount=_FILES)
    handler.setFormatter(JsonFormatter(process))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # They narrate every packet and every state at INFO.
    for chatty in ("amqtt", "transitions", "transitions.core", "httpx", "alembic", "matplotlib", "mail.log", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
