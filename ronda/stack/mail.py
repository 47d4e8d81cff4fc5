"""The mail server for trying out, as a part of its own: what it receives the API shows on /ui/mail."""

from __future__ import annotations

from cloud.notifications.mailbox import Mailbox
from cloud.notifications.mailserver import MailServer
from ronda.guards import check_port
from ronda.logs import set_up_logs
from ronda.parts import clock_ms
from ronda.processes import until_told_to_stop
from ronda.settings import SettingsError, load_settings
from ronda.tls.listening import check_plain


async def run_mail(listen: str, port: int, *, insecure: bool) -> None:
    """Receive every mail until told to stop. Raises: SettingsError without MAIL_FOLDER."""
    settings = load_settings("mail")
    if warning := check_plain("--listen", listen, insecure=insecure):
        print(f"note: {warning}", flush=True)
    if settings.mail_folder is None:
        raise SettingsError("MAIL_FOLDER must be set: the folder that the API reads too")
    set_up_logs("mail", settings.log_level, None)
    check_port(listen, port, "--port")
    server = MailServer(Mailbox(settings.mail_folder), now_ms=lambda: int(clock_ms()), host=listen, port=port)
    await server.start()
    try:
        await until_told_to_stop()
    finally:
        await server.stop()
