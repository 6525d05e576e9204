"""The page and what it asks for, over HTTP on this machine.

    GET    /                    the page
    POST   /jobs?name=...       a video, as the body; answers the job
    GET    /jobs                all of them
    GET    /jobs/ID             the job
    GET    /jobs/ID/files/NAME  one of the results
    DELETE /jobs/ID             removes all of it
    POST   /live?source=...     starts to count from a camera or stream, one at a time
    GET    /live                what it counts
    GET    /live/pictures       what it sees, JPEG after JPEG
    DELETE /live                stops
    GET    /events              both lists, whenever they change, as server-sent events

Who may ask for it: :mod:`rpstn.assess.serving.door`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import ClientDisconnect

from rpstn.form.exercises import known_exercises, load_exercise
from rpstn.lift.scale import HEIGHTS

from ..report import DATA, MARKERS, PAGE, TABLE, VIDEO
from .door import Door
from .events import Crowded, Events
from .jobs import DONE, Full, Job, Jobs, Limits
from .live_session import LiveSession

_KINDS = {
    PAGE: 'text/html; charset=utf-8',
    DATA: 'application/json',
    TABLE: 'text/csv; charset=utf-8',
    MARKERS: 'text/plain; charset=utf-8',
    VIDEO: 'video/mp4',
}
_POLICY = "default-src 'none'; {}frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_PAGE_POLICY = _POLICY.format(
    "script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
)
_REPORT_POLICY = _POLICY.format("img-src data:; style-src 'unsafe-inline'; media-src 'self'; ")
_HEADERS = {
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
}
_LOOK_AT_PICTURES = 0.02  # seconds between looks at what is watched
_LOWEST, _HIGHEST = (round(100 * height) for height in HEIGHTS)  # cm
_EXERCISE = Query('squat', pattern='^[a-z_]+$', max_length=40)


def build_app(jobs: Jobs, door: Door, stopping: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application.

    Args:
        jobs: the queue, closed with it.
        door: who is let in.
        stopping: whether the page is being stopped, which ends what is streamed.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        stop_live()
        await asyncio.to_thread(jobs.close)

    app = FastAPI(openapi_url=None, lifespan=lifespan)

    @app.middleware('http')
    async def only_this_page(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = door.answer(request) or await call_next(request)
        response.headers.update(_HEADERS)
        response.headers.setdefault('Content-Security-Policy', _PAGE_POLICY)
        return response

    live: list[LiveSession] = []
    changing = threading.RLock()  # requests are answered in several threads

    def stop_live() -> None:
        with changing:
            while live:
                live.pop().close()

    def running() -> LiveSession:
        if session := next(iter(live[:]), None):
            return session
        raise HTTPException(404, 'nothing is being watched')

    def watched() -> dict[str, Any] | None:
        return next((session.to_dict() for session in live[:]), None)

    events = Events(dict(jobs=jobs.to_list, live=watched), stopping)
    app.state.events = events

    def check_exercise(name: str) -> None:
        if name not in known_exercises():
            raise HTTPException(422, f'there is no exercise called {name}')

    def known(number: str) -> Job:
        if job := jobs.get(number):
            return job
        raise HTTPException(404, 'there is no such report, or it has been removed')

    @app.get('/', response_class=HTMLResponse)
    def page() -> str:
        environment = Environment(
            loader=PackageLoader('rpstn.assess'), autoescape=True, undefined=StrictUndefined
        )
        return environment.get_template('serve.html.j2').render(
            exercises=[load_exercise(name) for name in known_exercises()],
            limits=jobs.limits,
            heights=(_LOWEST, _HIGHEST),
        )

    @app.get('/page/{name}')
    def part(name: str) -> Response:
        kind = {'serve.css': 'text/css', 'serve.js': 'text/javascript'}.get(name)
        if kind is None:
            raise HTTPException(404)
        parts = ['report.css', name] if name.endswith('css') else [name]
        folder = files('rpstn.assess') / 'templates'
        return Response(
            '\n'.join((folder / one).read_text(encoding='utf-8') for one in parts), media_type=kind
        )

    @app.get('/favicon.ico', status_code=204)
    def icon() -> None:
        """None; every browser asks for it."""

    @app.post('/jobs', status_code=201)
    async def send(
        request: Request,
        name: str = Query('video', max_length=1000),
        exercise: str = _EXERCISE,
        height: float | None = Query(None, ge=_LOWEST, le=_HIGHEST),
        blur_faces: bool = False,
    ) -> dict:
        metres = None if height is None else height / 100
        check_exercise(exercise)
        too_large = HTTPException(
            413, f'the video must have at most {jobs.limits.bytes / 1e6:.0f} MB'
        )
        stated = request.headers.get('content-length', '0')
        if not stated.isdecimal() or int(stated) > jobs.limits.bytes:
            raise too_large
        try:
            job = jobs.new(name, dict(exercise=exercise, height=metres, blur_faces=blur_faces))
        except Full:
            raise HTTPException(429, 'too many videos are waiting; try again later') from None
        try:
            size = 0
            with job.video.open('xb') as file:
                async for block in request.stream():
                    size += len(block)
                    if size > jobs.limits.bytes:
                        raise too_large
                    await asyncio.to_thread(file.write, block)
            if not size:
                raise HTTPException(422, 'no video was sent')
        except BaseException as error:
            jobs.remove(job)
            if isinstance(error, ClientDisconnect):  # nobody hears it
                raise HTTPException(400, 'the video was not sent to its end') from None
            if isinstance(error, OSError):
                raise HTTPException(507, f'it cannot be stored: {error.strerror}') from None
            raise
        jobs.add(job)
        return job.to_dict(jobs.ahead(job))

    @app.get('/events')
    async def listen() -> StreamingResponse:
        try:
            return StreamingResponse(events.listen(), media_type='text/event-stream')
        except Crowded:
            raise HTTPException(429, 'too many pages listen') from None

    @app.get('/jobs')
    def look_at_all() -> list[dict]:
        return jobs.to_list()

    @app.get('/jobs/{number}')
    def look(number: str) -> dict:
        job = known(number)
        return job.to_dict(jobs.ahead(job))

    @app.get('/jobs/{number}/files/{name}')
    def result(number: str, name: str) -> FileResponse:
        job = known(number)
        path = job.report / name
        if job.state != DONE or name not in _KINDS or not path.is_file():
            raise HTTPException(404, 'there is no such file')
        return FileResponse(
            path, media_type=_KINDS[name], headers={'Content-Security-Policy': _REPORT_POLICY}
        )

    @app.delete('/jobs/{number}', status_code=204)
    def remove(number: str) -> None:
        jobs.remove(known(number))

    @app.post('/live', status_code=201)
    def start_live(
        source: str = Query(min_length=1, max_length=500), exercise: str = _EXERCISE
    ) -> dict:
        check_exercise(exercise)
        with changing:
            stop_live()
            live.append(LiveSession(source.strip(), exercise))
            return live[0].to_dict()

    @app.get('/live')
    def look_at_live() -> dict | None:
        return watched()

    @app.get('/live/pictures')
    async def pictures() -> StreamingResponse:
        session = running()

        async def newest() -> AsyncIterator[bytes]:
            seen = 0
            while not stopping():
                number, picture = session.picture
                if number != seen:
                    seen = number
                    yield b'--next\r\nContent-Type: image/jpeg\r\n\r\n' + picture + b'\r\n'
                elif session.state['ended']:
                    return
                await asyncio.sleep(_LOOK_AT_PICTURES)

        return StreamingResponse(newest(), media_type='multipart/x-mixed-replace; boundary=next')

    @app.delete('/live', status_code=204)
    def end_live() -> None:
        stop_live()

    return app


__all__ = ['Limits', 'build_app']
