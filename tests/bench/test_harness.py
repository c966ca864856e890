"""What the benchmark refuses to measure, and the small parts that it measures with."""

from __future__ import annotations

import http.server
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import orjson
import pytest

from bench.answers import AnswersDiffer, compare, require_shown
from bench.load import Plan, percentile
from bench.machine import CpuTimeUnknown, cpu_seconds, forget_peak, peak_rss_mib, running_on
from bench.operations import OPERATIONS, PRICES, AnswerWrong
from bench.options import parse
from bench.processes import HOST, ServerFailed
from bench.rounds import OrdersLost, require_all_written
from bench.servers import Command, Generator, LoadFailed, Server, Start, generating, serving

PRICE = {"product": "GASOLINE_92", "unitPrice": {"milliyuan": 7_500, "text": "¥7.50/L"}}
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "station": [{"token": "", "variables": {"id": "S1"}}],
    "nearest": [{"token": "", "variables": {"near": {"latitude": 1, "longitude": 2}, "radius": 100, "first": 2}}],
    "account": [{"token": "t", "variables": {"first": 1}}],
    "recharge": [
        {"token": "t", "variables": {"input": {"cardId": "C1", "amount": "500.00", "idempotencyKey": "@" * 32}}}
    ],
}


class Canned:
    """Answers rightly, and remembers its recharges by key; a test changes what it needs wrong."""

    def __init__(self) -> None:
        self.orders: dict[str, str] = {}
        self.station_name = "康健加油站"
        self.change: Callable[[str, dict[str, Any]], Any] = lambda _operation, answer: answer

    def answer(self, request: dict[str, Any]) -> Any:
        operation = next(name for name, one in OPERATIONS.items() if one.document == request["query"])
        data = getattr(self, operation)(request["variables"])
        return self.change(operation, {"data": data})

    def station(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {
            "station": {
                "id": variables["id"],
                "name": self.station_name,
                "zone": {"id": "Z"},
                "prices": [PRICE] * PRICES,
            }
        }

    def nearest(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {
            "stations": {"edges": [{"distance": 7 * place, "node": {"prices": [PRICE] * PRICES}} for place in (1, 2)]}
        }

    def account(self, variables: dict[str, Any]) -> dict[str, Any]:
        edges = [{"node": {"card": {"maskedNumber": "**** 1234"}}}]
        return {"viewer": {"wallet": {"balance": {"fen": 100}}, "orders": {"edges": edges}}}

    def recharge(self, variables: dict[str, Any]) -> dict[str, Any]:
        key = variables["input"]["idempotencyKey"]
        assert "@" not in key
        order = {
            "id": self.orders.setdefault(key, f"{id(self)}-{len(self.orders)}"),
            "state": "PENDING_PAYMENT",
            "amount": {"yuan": variables["input"]["amount"]},
            "payDeadlineAt": "later",
            "createdAt": "now",
        }
        return {"createRecharge": {"__typename": "CreateRechargeSuccess", "order": order}}


@contextmanager
def listening(canned: Canned, name: str = "canned") -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = canned.answer(request)
            status, body = answer if isinstance(answer, tuple) else (200, orjson.dumps(answer))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # In two parts, as a network may deliver them.
            self.wfile.write(body[:7])
            self.wfile.flush()
            self.wfile.write(body[7:])

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the library's own name.
            pass

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server, TemporaryFile() as log:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Server(name, server.server_address[1], os.getpid(), log)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def generator() -> Iterator[Generator]:
    with generating(None) as started:
        yield started


def plan(server: Server, folder: Path, operation: str, **changes: Any) -> Plan:
    samples = folder / "samples.json"
    samples.write_bytes(orjson.dumps(SAMPLES))
    fields: dict[str, Any] = {
        "operation": operation, "host": HOST, "port": server.port, "pid": server.pid, "samples": str(samples),
        "connections": 3, "warmup_s": 0.02, "seconds": 0.1, "key_prefix": "k", "seed": 1,
    }  # fmt: skip
    return Plan(**{**fields, **changes})


class TestGenerator:
    def test_counts_each_recharge_once_under_a_key_of_its_own(self, generator: Generator, tmp_path: Path) -> None:
        canned = Canned()
        with listening(canned) as server:
            first = generator.run(plan(server, tmp_path, "recharge", key_prefix="a"))
            second = generator.run(plan(server, tmp_path, "recharge", key_prefix="b"))
        assert first.acknowledged + second.acknowledged == len(canned.orders)
        assert 0 < first.requests <= first.acknowledged
        assert 0 < first.p50_ms <= first.p99_ms
        assert first.seconds >= 0.1

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_takes_right_answers_of_each_operation(self, generator: Generator, tmp_path: Path, operation: str) -> None:
        with listening(Canned()) as server:
            assert generator.run(plan(server, tmp_path, operation)).requests > 0

    @pytest.mark.parametrize(
        ("operation", "change", "reason"),
        [
            ("station", lambda answer: {**answer, "errors": [{"message": "boom"}]}, "boom"),
            ("station", lambda _answer: (500, b"Internal Server Error"), "HTTP 500"),
            ("station", lambda _answer: (200, b"not JSON"), "unexpected shape"),
            ("station", lambda _answer: {"data": {"station": None}}, "not the station"),
            ("nearest", lambda _answer: {"data": {"stations": {"edges": []}}}, "0 stations instead of 2"),
            ("account", lambda _answer: {"data": {"viewer": None}}, "nobody is signed in"),
            (
                "recharge",
                lambda _answer: {"data": {"createRecharge": {"__typename": "LimitReached", "code": "TOO_MANY"}}},
                "refused with TOO_MANY",
            ),
        ],
    )
    def test_refuses_to_measure_wrong_answers(
        self, generator: Generator, tmp_path: Path, operation: str, change: Callable[[Any], Any], reason: str
    ) -> None:
        canned = Canned()
        canned.change = lambda _operation, answer: change(answer)
        with listening(canned) as server, pytest.raises(LoadFailed, match=reason):
            generator.run(plan(server, tmp_path, operation))

    def test_says_that_nobody_listens_and_goes_on(self, generator: Generator, tmp_path: Path) -> None:
        with listening(Canned()) as server:
            pass
        with pytest.raises(LoadFailed, match=r"station, 3 connections: .*[Cc]onnect"):
            generator.run(plan(server, tmp_path, "station"))
        with listening(Canned()) as server:
            assert generator.run(plan(server, tmp_path, "station")).requests > 0


class TestCompare:
    def test_equal_servers_may_give_orders_other_ids(self) -> None:
        one, other = Canned(), Canned()
        with listening(one) as first, listening(other) as second:
            assert compare((first, second), SAMPLES, per_operation=1) == 1
        # Sent twice, made once.
        assert len(one.orders) == len(other.orders) == 1

    def test_another_name_is_shown(self) -> None:
        other = Canned()
        other.station_name = "漕宝加油站"
        with (
            listening(Canned(), "ours") as first,
            listening(other, "theirs") as second,
            pytest.raises(AnswersDiffer, match="station: the answers differ") as raised,
        ):
            compare((first, second), SAMPLES, per_operation=1)
        shown = str(raised.value).splitlines()
        assert {"--- ours", "+++ theirs", '-    "name": "康健加油站",', '+    "name": "漕宝加油站",'} <= set(shown)

    def test_the_third_of_three_servers_is_compared_as_well(self) -> None:
        third = Canned()
        third.station_name = "漕宝加油站"
        with (
            listening(Canned()) as one,
            listening(Canned()) as two,
            listening(third, "third") as three,
            pytest.raises(AnswersDiffer, match="third"),
        ):
            compare((one, two, three), SAMPLES, per_operation=1)

    def test_a_key_that_makes_two_orders_is_found(self) -> None:
        forgetful = Canned()

        def forget(_operation: str, answer: Any) -> Any:
            forgetful.orders = {str(number): "" for number in range(len(forgetful.orders))}
            return answer

        forgetful.change = forget
        with (
            listening(Canned()) as first,
            listening(forgetful) as second,
            pytest.raises(AnswersDiffer, match="again"),
        ):
            compare((first, second), SAMPLES, per_operation=1)

    def test_an_error_is_no_answer(self) -> None:
        broken = Canned()
        broken.change = lambda _operation, answer: {**answer, "errors": [{"message": "boom"}]}
        with listening(Canned()) as first, listening(broken) as second, pytest.raises(AnswerWrong, match="boom"):
            compare((first, second), SAMPLES, per_operation=1)


class TestShown:
    @staticmethod
    def with_orders(canned: Canned, *, stale: bool) -> Canned:
        """Let an account show the newest order, or for ever the one that it showed first."""
        shown: list[Any] = []

        def change(operation: str, answer: Any) -> Any:
            if operation != "account":
                return answer
            edges = [{"node": {"id": key}} for key in list(canned.orders.values())[-1:]]
            shown.append(edges)
            return {"data": {"viewer": {"orders": {"edges": shown[0] if stale else edges}}}}

        canned.change = change
        return canned

    def test_an_order_is_shown_right_after_it_was_made(self) -> None:
        with listening(self.with_orders(Canned(), stale=False)) as server:
            assert require_shown([server], SAMPLES) == 1

    def test_a_server_that_shows_what_it_has_kept_is_not_measured(self) -> None:
        with (
            listening(self.with_orders(Canned(), stale=True), "ours") as server,
            pytest.raises(AnswerWrong, match="ours shows None after it made"),
        ):
            require_shown([server], SAMPLES)


class TestCounting:
    def test_one_row_too_few_fails(self) -> None:
        before, after = {"RechargeOrder": 5, "Event": 7}, {"RechargeOrder": 8, "Event": 9}
        with pytest.raises(OrdersLost, match="youka acknowledged 3 recharges and wrote"):
            require_all_written("youka", before, after, acknowledged=3)

    def test_exactly_as_many_as_acknowledged(self) -> None:
        before, after = {"RechargeOrder": 5, "Event": 7}, {"RechargeOrder": 8, "Event": 10}
        expected = {"acknowledged": 3, "RechargeOrder": 3, "Event": 3}
        assert require_all_written("youka", before, after, acknowledged=3) == expected


class TestServers:
    def test_a_server_that_does_not_start_says_why(self) -> None:
        with (
            pytest.raises(ServerFailed, match=r"(?s)plain ended with exit code 1:.*No module named bench.nothing"),
            serving([Start("plain", Command("bench.nothing"), os.environ)], cores=None),
        ):
            pytest.fail("it must not start")


class TestMachine:
    def test_cpu_time_grows_with_work(self) -> None:
        begun, deadline = cpu_seconds(os.getpid()), time.process_time() + 0.2
        while time.process_time() < deadline:
            pass
        assert 0.1 < cpu_seconds(os.getpid()) - begun < 5

    def test_a_process_that_is_gone_has_none(self) -> None:
        with pytest.raises(CpuTimeUnknown):
            cpu_seconds(2**22 + 1)

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the steps are coarser")
    def test_cpu_time_is_counted_finer_than_a_tick(self) -> None:
        begun = cpu_seconds(os.getpid())
        sum(range(10_000))
        assert 0 < cpu_seconds(os.getpid()) - begun < 1 / os.sysconf("SC_CLK_TCK")

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
    def test_threads_that_have_ended_are_counted(self) -> None:
        begun, own = cpu_seconds(os.getpid()), time.thread_time()
        worker = threading.Thread(target=lambda: sum(range(3_000_000)))
        worker.start()
        worker.join()
        assert cpu_seconds(os.getpid()) - begun > 2 * (time.thread_time() - own)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
    def test_the_peak_of_memory_stays_when_memory_goes(self) -> None:
        before = peak_rss_mib(os.getpid())
        held = bytearray(os.urandom(1)) * (64 * 1024 * 1024)
        del held
        assert peak_rss_mib(os.getpid()) > max(64, before - 64)
        forget_peak(os.getpid())
        assert peak_rss_mib(os.getpid()) > 0

    def test_a_process_that_is_gone_held_nothing(self) -> None:
        assert peak_rss_mib(2**22 + 1) == 0

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin")
    def test_pinning_ends_with_its_context(self) -> None:
        before = os.sched_getaffinity(0)
        with running_on(frozenset({min(before)})):
            assert os.sched_getaffinity(0) == {min(before)}
        assert os.sched_getaffinity(0) == before


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 201)]
    assert percentile(values, 0.5) == 100.0
    assert percentile(values, 0.99) == 198.0
    assert percentile([7.0], 0.99) == 7.0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--connections", "1,x"], "not a list of numbers"),
        (["--connections", "0"], "from 1 to"),
        (["--rounds", "0"], "needs a round"),
        (["--stations", "10"], "at least 60 stations"),
        (["--orders", "10"], "at least 25 orders"),
        (["--peers", "strawberry,apollo"], "known are"),
        (["--ways", "youka-by-hand"], "known are"),
        (["--settle", "-1"], "needs a round"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    assert reason in capsys.readouterr().err
