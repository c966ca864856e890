"""Which bars a run is judged by, and the picture of what it has found."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from bench import chart, report
from bench.bars import CONNECTIONS, CPU_RATIO_MIN, MODES, Verdict, verdicts
from bench.operations import OPERATIONS
from bench.subjects import MERCURIUS, OURS, PEER_NAMES, PLAIN, SUBJECTS, WAY_NAMES, chosen
from kernel.settings import Settings

OPERATION = "station"
NAMESPACE = "{http://www.w3.org/2000/svg}"


def figures(cpu_us: float, *, p50_ms: float = 1.0, peak_rss_mib: float = 90.0) -> dict[str, float]:
    return {"cpu_us": cpu_us, "p50_ms": p50_ms, "peak_rss_mib": peak_rss_mib}


def judged(by_server: dict[str, dict[str, float]], connections: int = CONNECTIONS) -> dict[str, Verdict]:
    return {verdict.text: verdict for verdict in verdicts({(OPERATION, connections): by_server})}


class TestBars:
    def test_the_better_mercurius_counts(self) -> None:
        found = judged({"youka-bare": figures(300), "mercurius-pg": figures(900), "mercurius-postgres": figures(360)})
        verdict = found["station detail: CPU of the better mercurius by ours, no cache, no batching"]
        assert verdict.found == pytest.approx(1.2)
        assert verdict.bar == CPU_RATIO_MIN["bare"][OPERATION]
        assert verdict.met

    def test_just_below_is_missed(self) -> None:
        found = judged({"youka-bare": figures(1_000), "mercurius-pg": figures(1_099)})
        assert not found["station detail: CPU of the better mercurius by ours, no cache, no batching"].met

    @pytest.mark.parametrize(("peak", "met"), [(100.0, True), (100.1, False)])
    def test_memory_is_an_upper_limit(self, peak: float, met: bool) -> None:
        assert judged({"youka": figures(300, peak_rss_mib=peak)})["peak RSS under load, MiB"].met is met

    def test_plain_strawberry_is_twenty_times_behind(self) -> None:
        found = judged({"youka": figures(300), "strawberry": figures(6_000)})
        assert found["station detail: CPU of plain strawberry by ours"].met

    def test_one_connection_is_judged_by_its_latency(self) -> None:
        servers = {"youka": figures(1, p50_ms=2.0), "mercurius-pg": figures(9, p50_ms=1.9)}
        found = judged(servers, connections=1)
        assert [verdict.met for verdict in found.values()] == [False]

    def test_who_was_not_measured_is_not_judged(self) -> None:
        assert judged({"youka": figures(300, peak_rss_mib=0.0)}) == {}
        assert judged({"mercurius-pg": figures(300)}) == {}
        assert verdicts({}) == []

    def test_ways_of_running_youka_have_bars_of_operations_there_are(self) -> None:
        assert set(CPU_RATIO_MIN) == set(MODES)
        for subject in OURS:
            assert subject.mode in {*MODES, ""}
        assert all(set(asked) <= set(OPERATIONS) for asked in CPU_RATIO_MIN.values())

    def test_a_missed_bar_is_told(self) -> None:
        assert not report.missed({"bars": []})
        assert not report.missed({"bars": [{"met": True}]})
        assert report.missed({"bars": [{"met": True}, {"met": False}]})


class TestSubjects:
    def test_node_asks_postgres_only(self) -> None:
        assert [each.name for each in chosen((), PEER_NAMES, "sqlite")] == ["youka", "strawberry", "ariadne"]
        assert [each.name for each in chosen((), (), "postgres")] == ["youka"]
        everybody = [each.name for each in chosen(WAY_NAMES, PEER_NAMES, "postgres")]
        assert everybody == [*WAY_NAMES, "youka", *PEER_NAMES]

    def test_there_is_a_way_for_every_kind_of_bars(self) -> None:
        assert {each.mode for each in OURS} - {""} == set(MODES)

    def test_ways_of_running_youka_are_settings_that_there_are(self) -> None:
        told = {name for each in OURS for name in each.environment}
        assert told <= {f"YOUKA_{name.upper()}" for name in Settings.model_fields}

    def test_every_bar_names_somebody(self) -> None:
        assert {*MERCURIUS, PLAIN} <= set(SUBJECTS)


class TestPicture:
    def test_shows_the_bars_connections_with_the_cheapest_first(self) -> None:
        picture = ElementTree.fromstring(chart.draw(found(connections=(1, CONNECTIONS))))  # noqa: S314 -- our own.
        texts = ["".join(each.itertext()) for each in picture.iter(f"{NAMESPACE}text")]
        assert "32 connections" in texts[0]
        assert texts.index("mercurius, jit, pg") < texts.index("Youka") < texts.index("graphql-yoga, pg")
        assert "900  (3.00×)" in texts
        _paper, *drawn = picture.iter(f"{NAMESPACE}rect")
        widths = [float(each.attrib["width"]) for each in drawn]
        assert widths == sorted(widths)

    def test_takes_the_most_connections_there_are_otherwise(self) -> None:
        assert "8 connections" in chart.draw(found(connections=(1, 8)))


def found(connections: tuple[int, ...]) -> dict[str, Any]:
    servers = {"youka": figures(300), "mercurius-pg": figures(200), "yoga": figures(900)}
    ratios = {"mercurius-pg": {"cpu_us": 2 / 3}, "yoga": {"cpu_us": 3.0}}
    cell = {"engine": "postgres", "times": 1, "operation": OPERATION, "servers": servers, "ratios": ratios}
    return {
        "options": {"engines": ["postgres"]},
        "begun_at": "2026-11-29T05:00:00+00:00",
        "machine": {},
        "results": [{**cell, "connections": count} for count in connections],
    }
