"""The API for programs, with workers that only pretend; and its description."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.loopback import BOUNDARY, TOKEN, Loopback, form, pretending, running
from selfmm.app import receiving
from selfmm.app.routes import service as routes_
from selfmm.app.site import Limits

jsonschema = pytest.importorskip("jsonschema")
WORKER = Path(__file__).parents[1] / "pretend_worker.py"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with (
        pretending([sys.executable, str(WORKER)]),
        running(tmp_path_factory.mktemp("requests"), workers=2, waiting=2, timeout=5.0) as server,
    ):
        yield server


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": routes_.description()["components"]}


def check(content: Any, name: str) -> None:
    jsonschema.Draft202012Validator(schema(name)).validate(content)


def test_a_sentence_or_a_list_of_them(api: Loopback) -> None:
    answer = api.texts("fine")
    assert (answer.status, [row["id"] for row in answer.json()]) == (200, ["text_1"])
    assert [row["score"] for row in api.texts("a", "bb", "ccc").json()] == [1, 2, 3]
    assert api.texts("fine", explain=True).json()[0]["about"]["options"] == {"explain": True}


def test_a_recording_with_every_field(api: Loopback) -> None:
    answer = api.recording("fine", start="1.5", end="3", explain="true", language="de", recogniser="base", text="Hallo")
    assert answer.status == 200
    about = answer.json()["about"]
    assert answer.json()["id"] == "clip"
    assert (about["start"], about["end"], about["text"]) == (1.5, 3, "Hallo")
    assert about["options"] == {"explain": True, "by_sentence": False, "language": "de", "recogniser": "base"}
    assert api.leftovers() == []


def test_windows_and_sentences_make_a_list(api: Loopback) -> None:
    for fields in ({"window": "5", "hop": "2.5"}, {"by_sentence": "1"}):
        answer = api.recording("fine", **fields)
        assert answer.status == 200
        assert len(answer.json()) == 1


def test_the_runs_and_a_run_that_is_not_offered(api: Loopback) -> None:
    names = [run["name"] for run in api.ask("/v1/runs").json()["runs"]]
    assert names == ["good", "bad"]
    assert api.texts("fine", run="good").status == 200
    assert api.texts("fine", run="bad").error == "no"
    assert api.texts("fine", run="other").status == 404


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("SourceError", 422),
        ("MediaError", 422),
        ("RunError", 422),
        ("DatasetError", 422),
        ("ArgumentsError", 400),
        ("SettingsError", 400),
        ("WeightsError", 503),
        ("MissingPackageError", 503),
        ("OutputError", 507),
        ("MemoryError", 503),
        ("TooLongError", 413),
        ("CrashError", 500),
        ("os", 422),
        ("load", 422),
    ],
)
def test_errors_of_workers_have_a_status_and_show_no_place(api: Loopback, kind: str, status: int) -> None:
    answer = api.texts(f"fail {kind} cannot read /home/someone/secret/file.txt: no. See https://example.org/a/b")
    assert (answer.status, answer.error) == (status, "cannot read file.txt: no. See https://example.org/a/b")
    assert ("retry-after" in answer.headers) == (status == 503)


def test_an_error_about_an_upload_names_it_as_the_client_did(api: Loopback) -> None:
    home = api.service.scratch._folder
    answer = api.recording("fail MediaError nothing", "holiday.mp4")
    assert answer.error == "nothing"
    assert str(home) not in answer.error
    assert api.leftovers() == []


def test_a_worker_that_crashes_or_hangs_costs_one_request(api: Loopback) -> None:
    assert (api.texts("crash").status, api.texts("killed").status) == (500, 500)
    assert "memory" in api.texts("killed").error
    assert "ended unexpectedly" in api.recording("crash").error
    started = time.monotonic()
    late = api.recording("hang")
    assert (late.status, late.error) == (504, "Scoring took longer than 5 s. Send less at once.")
    assert time.monotonic() - started < 10
    assert api.texts("fine").status == 200
    assert api.leftovers() == []


def test_a_full_queue_refuses_and_says_when_to_come_back(api: Loopback) -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(api.recording("wait 3").status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: api.service.scoring.running == 2 and api.service.scoring.waiting == 2)
    refused = api.recording("fine")
    assert (refused.status, refused.headers["retry-after"]) == (429, "5")
    assert api.ask("/v1/health").json()["waiting"] == 2
    for thread in threads:
        thread.join()
    assert results == [200] * 4
    assert api.leftovers() == []


def test_a_sentence_does_not_wait_for_a_long_recording(api: Loopback) -> None:
    thread = threading.Thread(target=api.recording, args=("wait 2",))
    thread.start()
    wait_for(lambda: api.service.scoring.running == 1)
    started = time.monotonic()
    assert api.texts("fine").status == 200
    assert time.monotonic() - started < 1.5
    thread.join()


@pytest.mark.parametrize("body", ["hang", "wait 60"])
def test_a_client_that_goes_away_cancels_its_task(api: Loopback, body: str) -> None:
    request = api.request(
        "/v1/predict", form(body), headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    )
    with api.connect() as connection:
        connection.sendall(request)
        wait_for(lambda: api.service.scoring.running == 1)
    started = time.monotonic()
    wait_for(lambda: api.service.scoring.running == 0)
    assert time.monotonic() - started < 4, "before the time limit of the task"
    wait_for(lambda: not api.leftovers())
    assert api.texts("fine").status == 200


def test_a_client_that_goes_away_in_the_middle_of_an_upload_leaves_nothing(api: Loopback) -> None:
    body = form("x" * 500_000)
    request = api.request("/v1/predict", body, headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"})
    with api.connect() as connection:
        connection.sendall(request[: len(request) // 2])
        wait_for(api.leftovers)
    wait_for(lambda: not api.leftovers())


def test_uploads_at_once_are_limited_too(api: Loopback) -> None:
    request = api.request(
        "/v1/predict", form("fine"), headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    )
    connections = [api.connect() for _ in range(4)]
    for connection in connections:
        connection.sendall(request[:-5])
    wait_for(lambda: api.service.scratch.count == 4)
    assert api.recording("fine").status == 429
    for connection in connections:
        connection.sendall(request[-5:])
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.close()


def test_a_full_disk_is_said_and_nothing_is_left(api: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 1000

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: Full)
        answer = api.recording("fine")
        assert (answer.status, "disk is full" in answer.error) == (507, True)

    def write(self: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(receiving._Reader, "flush", write)
    answer = api.recording("fine")
    assert (answer.status, "disk is full" in answer.error) == (507, True)
    assert api.leftovers() == []


def test_a_large_upload_arrives_whole_and_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = receiving._Reader.flush

    def flush(self: Any) -> None:
        sizes.append(len(self.pending))
        original(self)

    monkeypatch.setattr(receiving._Reader, "flush", flush)
    limits = Limits(upload=40 * 2**20)
    with pretending([sys.executable, str(WORKER)]), running(tmp_path, limits=limits) as server:
        answer = server.recording(b"size\n" + b"\r\n--boundary" * 2_000_000)
        assert answer.status == 200
        assert sum(sizes) == 5 + 12 * 2_000_000
        assert max(sizes) < 2 * 2**20
        assert server.recording(b"x" * (42 * 2**20)).status == 413
        assert server.leftovers() == []


def test_an_upload_in_tiny_pieces_arrives(api: Loopback) -> None:
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    request = api.request("/v1/predict", form("fine", start="1"), headers=kind)
    with api.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(request)):
            connection.sendall(request[place : place + 1])
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_stopping_finishes_what_was_accepted_and_refuses_the_rest(tmp_path: Path) -> None:
    with pretending([sys.executable, str(WORKER)]), running(tmp_path, token=TOKEN) as server:
        server.extra = {"authorization": f"Bearer {TOKEN}"}
        results: list[int] = []
        threads = [threading.Thread(target=lambda: results.append(server.recording("wait 1").status)) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_for(lambda: server.service.scoring.running == 1 and server.service.scoring.waiting == 1)
        server.engine.handle_exit(15, None)
        health = server.ask("/v1/health")
        assert (health.status, health.json()["status"]) == (503, "stopping")
        assert server.texts("fine").status == 503
        for thread in threads:
            thread.join()
        assert results == [200, 200]
        wait_for(lambda: server.engine.should_exit)


def test_health_says_more_to_whoever_has_the_token(tmp_path: Path) -> None:
    with pretending([sys.executable, str(WORKER)]), running(tmp_path, token=TOKEN) as server:
        assert server.ask("/v1/health").json() == {"status": "ready", "ready": True}
        content = server.ask("/v1/health", headers={"authorization": f"Bearer {TOKEN}"}).json()
        assert content["run"] == "good"
        assert content["workers"] == 1
        check(content, "Health")
        assert server.ask("/v1/health", method="HEAD").status == 200


def test_the_description_names_every_route_and_method(api: Loopback) -> None:
    content = api.ask("/v1/openapi.json").json()
    assert content == json.loads(json.dumps(routes_.description()))
    documented = {(path, method.upper()) for path, methods in content["paths"].items() for method in methods}
    assert documented == {
        (route.path, method) for route in routes_.routes for method in route.methods or () if method != "HEAD"
    }
    jsonschema.Draft202012Validator.check_schema(content["components"]["schemas"]["Prediction"])


def test_the_description_names_every_field(api: Loopback) -> None:
    schemas = routes_.description()["components"]["schemas"]
    assert set(schemas["Sentences"]["properties"]) == set(routes_._FOR_TEXT)
    assert set(schemas["Recording"]["properties"]) == {"recording", *routes_._FOR_RECORDINGS}
    for name in routes_._recognisers():
        assert name in schemas["Recording"]["properties"]["recogniser"]["description"]


def test_real_answers_are_as_described(api: Loopback, trained: Any) -> None:
    """Also a prediction as a worker makes it: `Prediction.to_json` of a real run."""
    check(api.texts("fail RunError x").json(), "Error")
    check(api.ask("/v1/runs").json()["runs"][1], "Run")
    from selfmm.api import predict_texts

    for prediction in predict_texts(trained, ["I loved it", "no"], explain=True):
        content = json.loads(json.dumps(prediction.to_json()))
        check(content, "Prediction")
        assert set(content) - {"lanes"} <= set(
            routes_.description()["components"]["schemas"]["Prediction"]["properties"]
        )


def test_every_answer_of_the_description_has_a_status_that_is_described(api: Loopback) -> None:
    responses = set(routes_.description()["paths"]["/v1/predict"]["post"]["responses"])
    assert responses >= {
        "200",
        "400",
        "401",
        "403",
        "404",
        "408",
        "413",
        "421",
        "422",
        "429",
        "500",
        "503",
        "504",
        "507",
    }
