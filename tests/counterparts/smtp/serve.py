"""An SMTP server for tests, by aiosmtpd: STARTTLS is demanded, and one login is known.

usage: serve.py PORT FOLDER. FOLDER holds cert.pem and key.pem; every mail that is taken is written to it.
"""

import itertools
import pathlib
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

PORT, FOLDER = int(sys.argv[1]), pathlib.Path(sys.argv[2])
REFUSED = {"nobody": "550 5.1.1 no such mailbox", "later": "451 4.7.1 try again later"}


class Handler:
    numbers = itertools.count(1)

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = REFUSED.get(address.split("@")[0])
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        head = f"X-To: {', '.join(envelope.rcpt_tos)}\nX-Login: {session.auth_data is not None}\n"
        partial = FOLDER / "partial"
        partial.write_bytes(head.encode() + envelope.content)
        partial.rename(FOLDER / f"{next(self.numbers)}.eml")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"refit", b"canary")
    return AuthResult(success=known, handled=False, auth_data=data.login if known else None)


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(FOLDER / "cert.pem", FOLDER / "key.pem")
Controller(
    Handler(),
    hostname="127.0.0.1",
    port=PORT,
    tls_context=tls,
    server_hostname="localhost",
    require_starttls=True,
    authenticator=authenticate,
).start()
print("listening", flush=True)
threading.Event().wait()
