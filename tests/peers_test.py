"""`benchmarks/peers.py`: its sums, its list of peers, and the endpoint whose clock it uses. Nothing is timed."""

import json
import re
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import peer_list
import peers
from fixed_endpoint import REPLY, Seen, content_length, endpoint, seen_by

TASK = peers.Asked("someone", in_flight=4, calls=16)


def waves(*times: float, width: int = 4) -> list[float]:
    """`width` replies at each of `times`."""
    return [time for time in times for _ in range(width)]


def test_the_whole_run_counts_from_the_first_request_and_the_steady_part_leaves_the_ends_out() -> None:
    seen = Seen(requests=waves(0, 3, 4, 5), replies=waves(3, 4, 5, 8), late_s=0.032)
    made = peers.summed(TASK, seen, cpu_s=0.016, memory=90_000_000)
    assert (made.calls, made.calls_per_s, made.share_of_ideal) == (16, 2.0, 0.5)
    assert made.steady_share_of_ideal == 1.0
    assert (made.cpu_ms_per_call, made.peak_memory_mb, made.endpoint_late_ms) == (1.0, 90, 2.0)


def test_calls_before_the_work_are_left_out() -> None:
    seen = Seen(requests=[-9.0, *waves(0, 1, 2, 3)], replies=[-8.0, *waves(1, 2, 3, 4)])
    made = peers.summed(TASK, seen, cpu_s=None, memory=0)
    assert (made.calls, made.share_of_ideal, made.steady_share_of_ideal) == (16, 1.0, 1.0)
    assert made.cpu_ms_per_call is None


def test_one_that_was_stopped_is_timed_until_then_and_too_few_waves_are_no_steady_state() -> None:
    seen = Seen(requests=waves(0, 1, 2), replies=waves(1, 2, 3))
    made = peers.summed(TASK, seen, cpu_s=None, memory=0, stopped=6.0)
    assert (made.calls_per_s, made.share_of_ideal, made.steady_share_of_ideal) == (2.0, 0.5, 1.0)
    short = peers.summed(TASK, Seen(waves(0, 1), waves(1, 2)), cpu_s=None, memory=0, stopped=4.0)
    assert (short.share_of_ideal, short.steady_share_of_ideal) == (0.5, None)


def test_one_that_made_no_call_has_no_rate_and_says_why() -> None:
    made = peers.summed(TASK, Seen(), cpu_s=1.0, memory=0, problem="exit code 1: no such model")
    assert (made.calls, made.calls_per_s, made.steady_share_of_ideal, made.cpu_ms_per_call) == (0, 0.0, None, None)
    assert made.problem == "exit code 1: no such model"


def test_the_last_line_of_the_log_is_the_problem(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("Traceback\nValueError: no\n", encoding="utf-8")
    assert peers._problem(1, log, answered=0, calls=4) == "exit code 1: ValueError: no"
    assert peers._problem(0, log, answered=3, calls=4) == "only 3 calls of 4 were answered"
    assert peers._problem(0, log, answered=5, calls=4) == ""


@pytest.mark.parametrize("peer", peer_list.PEERS, ids=lambda peer: peer.name)
def test_each_peer_has_a_driver_and_an_environment_with_every_package_pinned(peer: peer_list.Peer) -> None:
    assert peer.driver.is_file()
    if peer.requirements is None:
        assert "PYTHONPATH" in peer_list.variables(peer)
        return
    lines = peer.requirements.read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+-]+", line) for line in lines)
    assert peer.version
    assert "PYTHONPATH" not in peer_list.variables(peer)


def test_a_version_that_is_not_pinned_is_an_error() -> None:
    assert peer_list.pinned("openai-x==1\nopenai==2.0\n", "openai") == "2.0"
    with pytest.raises(ValueError, match="is not pinned"):
        peer_list.pinned("openai-x==1\n", "openai")


def test_the_endpoint_answers_and_says_what_it_saw() -> None:
    body = b'{"model": "fixed"}'
    call = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with endpoint(0.0) as address, socket.create_connection(address, timeout=10) as line:
        line.sendall(call[:40])
        line.sendall(call[40:] + call)
        answered = b""
        while len(answered) < 2 * len(REPLY):
            answered += line.recv(65_536)
        line.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
        assert b'"id": "fixed"' in line.recv(65_536)
        seen = seen_by(address)
    assert answered == REPLY * 2
    assert (len(seen.requests), len(seen.replies), seen.most_in_flight) == (2, 2, 1)
    assert seen.late_s >= 0


def test_a_head_without_a_length_has_no_body() -> None:
    assert content_length(b"GET / HTTP/1.1\r\nhost: x") == 0
    assert content_length(b"POST / HTTP/1.1\r\nContent-Length: 12\r\nhost: x") == 12


def test_a_peer_runs_and_one_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_list, "DRIVERS", tmp_path)
    monkeypatch.setattr(peers, "LATENCY_S", 0.0)
    monkeypatch.setattr(peers, "_LOOK_S", 0.01)
    peer = peer_list.Peer("quick", "Quick", "nothing", "defaults")
    task = peers.Asked("quick", 1, 1)
    made = "import json, sys, urllib.request as u; u.urlopen(sys.argv[1] + '/chat/completions', b'{}').read(); "
    peer.driver.write_text(made + "json.dump({'cpu_s': 0.5}, open(sys.argv[4] + '/measured.json', 'w'))")
    done = peers.run(peer, Path(sys.executable), task, limit_s=60)
    assert (done.calls, done.cpu_ms_per_call, done.problem) == (1, 500.0, "")
    assert done.peak_memory_mb > 0
    peer.driver.write_text("import time; time.sleep(60)")
    late = peers.run(peer, Path(sys.executable), task, limit_s=0.05)
    assert (late.calls, late.cpu_ms_per_call, late.problem) == (0, None, "stopped after 0 s")


def test_a_report_holds_what_the_picture_and_the_page_need(tmp_path: Path) -> None:
    row = peers.summed(peers.Asked("openai", 4, 16), Seen(waves(0, 1, 2, 3), waves(1, 2, 3, 4)), 0.016, 1)
    (peer,) = [peer for peer in peer_list.PEERS if peer.name == "openai"]
    report = json.loads(json.dumps(peers.report_of([row], [peer])))
    assert report["peers"]["openai"]["version"] == peer.version
    report["machine"] = {"cores": 2, "load_before": "0.1"}
    peers.draw(report, tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")
