"""The study's requests, without a browser: blind, resumable, closed to other sites."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from anchor_hub.errors import DataError, UsageError
from anchor_hub.study.plan import incomplete
from anchor_hub.study.results import results
from anchor_hub.study.serving import _listen, load_web
from tests.study.makers import colour_of, study_of

needs_web = pytest.mark.skipif(
    any(__import__("importlib.util").util.find_spec(name) is None for name in ("fastapi", "httpx", "uvicorn")),
    reason="fastapi, uvicorn and httpx are not installed (the extra [test] has them)",
)


def client(folder: Path, **options: Any) -> Any:
    from fastapi.testclient import TestClient

    from anchor_hub.study.web import create_app

    return TestClient(create_app(folder, **options), base_url="http://127.0.0.1:8737")


def finish(web: Any, choose: Any) -> int:
    """Answer everything; ``choose(state, colours by position) -> position``. Returns the number of answers."""
    count = 0
    state = web.get("/api/state").json()
    while state["task"]:
        colours = [colour_of(web.get(address).content) for address in state["task"]["choices"]]
        answer = {"task": state["task"]["number"], "position": choose(state, colours), "seconds": 0.5}
        state = web.post("/api/vote", json=answer).json()
        count += 1
    return count


@needs_web
def test_a_participant_from_begin_to_end(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    web = client(made.folder)
    assert web.get("/api/state").json() == {"title": made.study.title, "questions": 8, "runs": 3, "code": None}
    state = web.post("/api/enter", json={"code": "Anna"}).json()
    assert (state["code"], state["done"], state["total"]) == ("anna", 0, 8)
    assert state["task"]["question"] == "Which is best?" and len(state["task"]["choices"]) == 3
    assert colour_of(web.get(state["task"]["input"]).content) == "input"
    assert finish(web, lambda state, colours: colours.index("blue")) == 8
    state = web.get("/api/state").json()
    assert (state["done"], state["total"], state["task"]) == (8, 8, None)
    for question in results(made.folder)["questions"]:
        assert [row["votes"] for row in question["runs"]] == [0, 0, 4]


@needs_web
def test_nothing_sent_tells_the_run(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    web = client(made.folder)
    web.post("/api/enter", json={"code": "anna"})
    page = web.get("/api/state").text
    answer = web.get("/pictures/0/0")
    sent = page + str(answer.headers) + answer.content.decode("latin-1")
    assert not [name for name in (*made.study.runs, *made.study.sets) if f'"{name}"' in sent or f"{name}.png" in sent]
    assert "last-modified" not in answer.headers and "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    orders = set()
    for name in "abcdefgh":
        other = client(made.folder)
        other.post("/api/enter", json={"code": name})
        orders.add(tuple(colour_of(other.get(f"/pictures/0/{place}").content) for place in range(3)))
    assert len(orders) > 2


@needs_web
def test_two_participants_and_a_resumed_one(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    anna, berta = client(made.folder), client(made.folder)
    anna.post("/api/enter", json={"code": "anna"})
    berta.post("/api/enter", json={"code": "berta"})
    for _ in range(3):
        task = anna.get("/api/state").json()["task"]["number"]
        anna.post("/api/vote", json={"task": task, "position": 1})
    assert berta.get("/api/state").json()["done"] == 0
    before = anna.get("/api/state").json()
    # Another server, another browser: the code is enough.
    again = client(made.folder)
    assert again.post("/api/enter", json={"code": "ANNA "}).json() == before and before["done"] == 3
    assert again.post("/api/leave").json()["code"] is None
    assert again.get("/api/state").json()["code"] is None


@needs_web
def test_a_double_submit_counts_once(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    web = client(made.folder)
    task = web.post("/api/enter", json={"code": "anna"}).json()["task"]["number"]
    first = web.post("/api/vote", json={"task": task, "position": 0}).json()
    second = web.post("/api/vote", json={"task": task, "position": 2}).json()
    assert first == second and first["done"] == 1
    assert sum(row["votes"] for row in results(made.folder)["questions"][0]["runs"]) == 1


@needs_web
def test_missing_pictures_are_never_asked_about(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    web = client(made.folder)
    state = web.post("/api/enter", json={"code": "anna"}).json()
    place = made.study.tasks("anna")[0].place
    (made.folder / "pictures" / f"{place:05d}" / "1.png").unlink()
    assert [web.get(address).status_code for address in state["task"]["choices"]].count(404) == 1
    after = web.get("/api/state").json()
    assert after["total"] == 6 and after["task"]["number"] == 2
    # What the page could not show is passed over, not voted on.
    answered = web.post("/api/vote", json={"task": 2, "position": None}).json()
    assert answered["done"] == 1 and results(made.folder)["passed_over"] == 1
    assert finish(web, lambda state, colours: 0) == 5
    # Whoever answered all that could be shown has finished; what could not is written down as passed over.
    assert web.get("/api/state").json()["total"] == web.get("/api/state").json()["done"] == 6
    counted = results(made.folder)
    assert counted["finished"] == 1 and counted["passed_over"] == 3
    assert sum(question["votes"] for question in counted["questions"]) == 5
    other = client(made.folder)
    other.post("/api/enter", json={"code": "berta"})
    for path in (made.folder / "pictures").rglob("*.png"):
        path.unlink()
    # Nobody finishes without having been shown anything, and no server starts with nothing to show.
    state = other.get("/api/state").json()
    assert (state["done"], state["total"], state["task"]) == (0, 0, None)
    assert results(made.folder)["finished"] == 1
    with pytest.raises(DataError, match=r"no set of this study has all its pictures; copy the folder pictures back"):
        client(made.folder)


@needs_web
def test_a_set_that_comes_back_is_asked_about(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    path = made.folder / "pictures" / f"{made.study.tasks('anna')[0].place:05d}" / "input.png"
    path.rename(tmp_path / "aside.png")
    assert list(incomplete(made.folder, made.study).values()) == [path]
    web = client(made.folder)
    assert web.get("/api/state").json()["questions"] == 6
    assert web.post("/api/enter", json={"code": "anna"}).json()["total"] == 6
    (tmp_path / "aside.png").rename(path)
    assert web.get("/api/state").json()["total"] == 8
    assert finish(web, lambda state, colours: 0) == 8 and results(made.folder)["passed_over"] == 0


@needs_web
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"task": 99, "position": 0}, 422),
        ({"task": 0, "position": 3}, 422),
        ({"task": -1, "position": 0}, 422),
        ({"task": 0, "position": "x"}, 422),
        ({"position": 0}, 422),
        ({"task": 10**30, "position": 0}, 422),
    ],
)
def test_wrong_votes_are_refused(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    made = study_of(tmp_path)
    web = client(made.folder)
    assert web.post("/api/vote", json={"task": 0, "position": 0}).status_code == 401
    web.post("/api/enter", json={"code": "anna"})
    assert web.post("/api/vote", json=body).status_code == status
    assert results(made.folder)["questions"][0]["votes"] == 0


@needs_web
@pytest.mark.parametrize(
    "address",
    ["/pictures/0/3", "/pictures/99/0", "/pictures/-1/0", "/pictures/0/x", "/pictures/0/..%2f..%2fstudy.yaml",
     "/study.yaml", "/votes.sqlite", "/docs", "/openapi.json", "/pictures/0/\u00b2",
     "/pictures/0/0000000001234567"],
)  # fmt: skip
def test_there_is_nothing_else_to_get(tmp_path: Path, address: str) -> None:
    web = client(study_of(tmp_path).folder)
    web.post("/api/enter", json={"code": "anna"})
    assert web.get(address).status_code in (404, 422)


@needs_web
def test_other_sites_are_refused(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    web = client(made.folder)
    assert web.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert web.get("/", headers={"Host": "127.0.0.1:99999x]"}).status_code == 400
    crossed = web.post("/api/enter", json={"code": "x"}, headers={"Origin": "https://evil.example"})
    assert crossed.status_code == 403 and results(made.folder)["participants"] == 0
    assert web.post("/api/leave", headers={"Origin": "http://["}).status_code == 403
    assert client(made.folder, host="Lab-3.example").get("/", headers={"Host": "lab-3.example"}).status_code == 200
    assert web.get("/", headers={"Host": "localhost:1"}).status_code == 200
    assert web.get("/", headers={"Host": "[::1]:1"}).status_code == 200
    assert client(made.folder, host="0.0.0.0").get("/", headers={"Host": "lab-3.example"}).status_code == 200
    cookie = web.post("/api/enter", json={}).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie


@needs_web
def test_the_page_loads_only_its_own_files(tmp_path: Path) -> None:
    web = client(study_of(tmp_path).folder)
    for address, kind in (("/", "text/html"), ("/study.css", "text/css"), ("/study.js", "javascript")):
        answer = web.get(address)
        assert answer.status_code == 200 and kind in answer.headers["content-type"]
        assert "http:" not in answer.text and "https:" not in answer.text
        assert "unsafe" not in answer.headers["content-security-policy"]


@needs_web
def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    from anchor_hub.study.web import create_app

    with pytest.raises(DataError, match="holds no study"):
        create_app(tmp_path)


@pytest.mark.parametrize("name", ["fastapi", "uvicorn"])
def test_without_the_extra_the_error_names_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "fastapi":
        pytest.importorskip("uvicorn")
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "anchor_hub.study.web", raising=False)
    with pytest.raises(UsageError, match=rf"needs {name}, which is not installed: pip install 'anchor-hub\[web\]'"):
        load_web()


def test_a_port_in_use_is_said() -> None:
    with _listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127.0.0.1:{port} cannot be used .*--port 0"):
            _listen("127.0.0.1", port)
    with pytest.raises(UsageError, match="is no address of this machine"):
        _listen("no such host", 0)
