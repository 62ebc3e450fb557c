"""The study's page and its requests. Import this module inside functions only: it needs the extra `[web]`."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from anchor_hub.errors import DataError, UsageError
from anchor_hub.study.plan import Study, Task, incomplete, open_study, picture
from anchor_hub.study.votes import LONGEST_CODE, Participant, Votes
from anchor_hub.system.guarded import read_regular

PAGE = Path(__file__).parent / "page"
#: Bytes of a request's body: the longest code in any script, many times over.
MAX_BODY = 16_384
LOG = logging.getLogger("uvicorn.error")
COOKIE = "anchor_study"
STATIC = {"/": "index.html", "/study.css": "study.css", "/study.js": "study.js"}
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The address of a picture is the same for every participant, but the content differs.
    "Cache-Control": "no-store",
}


class Enter(BaseModel):
    """Body of the request by which somebody begins or comes back."""

    code: str = Field(default="", max_length=4 * LONGEST_CODE)


class Vote(BaseModel):
    """Body of an answer to a task; ``position`` None: the set could not be shown."""

    task: int = Field(ge=0)
    position: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, ge=0)


class Session:
    """The tasks that one participant has done and has still to do."""

    def __init__(self, folder: Path, study: Study, votes: Votes, participant: Participant) -> None:
        self.folder, self.study, self.votes, self.participant = folder, study, votes, participant
        self.tasks = study.tasks(participant.code)

    def state(self) -> dict[str, Any]:
        """The state that the page shows. Nothing in it tells which run a picture is from.

        ``done`` and ``total`` count tasks that were or can be shown. Once only tasks with missing pictures are left,
        they are recorded as passed over: the participant has finished.
        """
        answered = self.votes.answered(self.participant)
        done = lost = 0
        following: int | None = None
        missing: list[Task] = []
        for number, task in enumerate(self.tasks):
            voted = answered.get((task.set_name, task.question.name))
            if voted or (voted is not None and self.complete(task)):
                done += 1
            elif voted is not None:
                lost += 1
            elif not self.complete(task):
                missing.append(task)
            elif following is None:
                following = number
        if following is None and done:
            for task in missing:
                self.votes.record(self.participant, task, None, None)
        total = len(self.tasks) - lost - len(missing)
        state: dict[str, Any] = {"code": self.participant.code, "done": done, "total": total}
        if following is None:
            return {**state, "task": None}
        task = self.tasks[following]
        address = f"/pictures/{following}"
        return {
            **state,
            "task": {
                "number": following,
                "question": task.question.text,
                "input": f"{address}/input" if self.study.inputs else None,
                "choices": [f"{address}/{position}" for position in range(len(task.order))],
            },
        }

    def complete(self, task: Task) -> bool:
        """Whether all pictures of a task are there."""
        runs = [*task.order, *([None] if self.study.inputs else [])]
        return all(picture(self.folder, task.place, run).is_file() for run in runs)


async def _short(request: Request) -> bool:
    """Whether the body is of at most :data:`MAX_BODY` bytes; it is kept for the request, and no more of it is read."""
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or len(stated) > 9 or int(stated) > MAX_BODY:
        return False
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > MAX_BODY:
            return False
    request._body = body
    return True


def create_app(folder: str | Path, host: str = "127.0.0.1") -> FastAPI:
    """The web application of a study's folder.

    :param host: name or address, beside the local ones, under which browsers reach the page.
    :raises DataError: the folder holds no study, no set has all its pictures, or the votes cannot be used.
    """
    folder = Path(folder)
    study = open_study(folder)
    lacking = len(incomplete(folder, study))
    votes = Votes(folder, study)
    app = FastAPI(title="Anchor Hub study", docs_url=None, redoc_url=None, openapi_url=None)
    everywhere = host in ("0.0.0.0", "::")
    names = (*LOCAL_NAMES, host.lower())

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        """Refuse requests from pages of other sites, even of sites whose name leads to this machine."""
        name = _host_name(f"//{request.headers.get('host', '')}")
        if request.method == "POST" and not await _short(request):
            refused = JSONResponse({"error": f"a request holds at most {MAX_BODY:,} bytes"}, 413)
            refused.headers.update({**HEADERS, "Connection": "close"})
            return refused
        origin = request.headers.get("origin")
        if not everywhere and name not in names:
            response: Response = JSONResponse({"error": "this study is not served under that name"}, 400)
        elif origin is not None and _net_location(origin) != request.headers.get("host"):
            response = JSONResponse({"error": "requests of other sites are refused"}, 403)
        else:
            response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(DataError)
    async def damaged(request: Request, error: DataError) -> JSONResponse:
        LOG.error("%s %s: %s", request.method, request.url.path, error)
        return JSONResponse({"error": str(error)}, 500)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        # Never what was sent: it may be long, or hold numbers that JSON lacks.
        fields = sorted({".".join(map(str, item["loc"][1:])) or "body" for item in error.errors()})
        return JSONResponse({"error": f"the request is wrong in {', '.join(fields)[:100]}"}, 422)

    def session(request: Request) -> Session | None:
        participant = votes.participant(request.cookies.get(COOKIE))
        return Session(folder, study, votes, participant) if participant else None

    def answer(found: Session | None) -> JSONResponse:
        asked = min(study.sets_per_participant, len(study.sets) - lacking) * len(study.questions)
        about = {"title": study.title, "questions": asked, "runs": len(study.runs)}
        return JSONResponse({**about, **(found.state() if found else {"code": None})})

    for address, name in STATIC.items():
        app.add_api_route(address, _file(PAGE / name), methods=["GET"])

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/api/state")
    def state(request: Request) -> JSONResponse:
        return answer(session(request))

    @app.post("/api/enter")
    def enter(body: Enter) -> JSONResponse:
        try:
            participant = votes.enter(body.code)
        except UsageError as error:
            return JSONResponse({"error": str(error)}, 422)
        response = answer(Session(folder, study, votes, participant))
        response.set_cookie(COOKIE, participant.token, max_age=31_536_000, httponly=True, samesite="strict")
        return response

    @app.post("/api/leave")
    def leave() -> JSONResponse:
        response = answer(None)
        response.delete_cookie(COOKIE)
        return response

    @app.post("/api/vote")
    def vote(request: Request, body: Vote) -> JSONResponse:
        found = session(request)
        if found is None:
            return JSONResponse({"error": "nobody has begun in this browser"}, 401)
        if body.task >= len(found.tasks) or (body.position or 0) >= len(study.runs):
            return JSONResponse({"error": "there is no such task or picture"}, 422)
        # A second answer to the same task changes nothing: both answers get the state that follows.
        seconds = body.seconds if body.seconds is not None and math.isfinite(body.seconds) else None
        votes.record(found.participant, found.tasks[body.task], body.position, seconds)
        return answer(found)

    @app.get("/pictures/{task}/{which}")
    def show(request: Request, task: int, which: str) -> Response:
        found = session(request)
        runs = len(study.runs)
        if found is None or not 0 <= task < len(found.tasks):
            return JSONResponse({"error": "there is no such picture"}, 404)
        if which == "input":
            run = None
        elif which.isascii() and which.isdigit() and len(which) < 3 and int(which) < runs:
            run = found.tasks[task].order[int(which)]
        else:
            return JSONResponse({"error": "there is no such picture"}, 404)
        try:
            data = read_regular(picture(folder, found.tasks[task].place, run))
        except OSError:
            return JSONResponse({"error": "the picture is missing"}, 404)
        # Only bytes: the name, date or tag of a file would tell the run.
        return Response(data, media_type="image/png")

    return app


def _host_name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _net_location(address: str) -> str | None:
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None


def _file(path: Path) -> Any:
    def send() -> FileResponse:
        return FileResponse(path)

    return send
