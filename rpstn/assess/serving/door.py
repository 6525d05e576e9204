"""Who is let in: a browser of this machine that was given the address with its token.

Other pages that a browser has open must not reach the page, nor other users of this machine.
Requests are refused whose Host is not this machine (a name that was made to point here), whose
Origin or Sec-Fetch-Site says that another page sent them, or without the token: in the address at
the first visit, which answers with a cookie, in that cookie from then on.
"""

from __future__ import annotations

import secrets

from fastapi import Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

ADDRESS = '127.0.0.1'


class Door:
    """Lets in, or refuses in one line.

    Args:
        port: that is served on; other Hosts are refused.
        token: that visitors must know.
    """

    def __init__(self, port: int, token: str) -> None:
        self._hosts = {f'{name}:{port}' for name in (ADDRESS, 'localhost')}
        self._origins = {f'http://{host}' for host in self._hosts}
        self.cookie = f'rpstn-{port}'  # as a browser keeps those of all ports together
        self._token = token
        self.address = f'http://{ADDRESS}:{port}/?token={token}'
        """For the first visit."""

    def answer(self, request: Request) -> Response | None:
        """Why not, or the way in; None for who is in."""
        sent = request.headers
        if sent.get('host') not in self._hosts:
            return PlainTextResponse('another host', 421)
        here = 'origin' not in sent or sent['origin'] in self._origins
        if not here or sent.get('sec-fetch-site', 'none') not in ('none', 'same-origin'):
            return PlainTextResponse('another page may not ask for this', 403)
        if request.url.path == '/' and self._knows(request.query_params.get('token')):
            inside = RedirectResponse('/', 303)  # so that the address shows the token no more
            inside.set_cookie(self.cookie, self._token, httponly=True, samesite='strict')
            return inside
        if not self._knows(request.cookies.get(self.cookie)):
            return PlainTextResponse('open the whole address that rpstn serve has printed', 403)
        return None

    def _knows(self, token: str | None) -> bool:
        given = (token or '').encode(errors='replace')
        return secrets.compare_digest(given, self._token.encode())
