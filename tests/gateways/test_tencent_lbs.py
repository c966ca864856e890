"""The map service on the sandbox, its published signature, and distances that are estimated where it is not there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from domain.orders.ports import ThirdParties
from domain.stations.driving import DrivingDistances, estimate
from domain.stations.gcj02 import from_wgs84
from domain.stations.geo import Location, distance_m
from domain.stations.ports import Drive, Place, Places, PlacesUnavailable
from gateways.assembly import third_parties
from gateways.tencent_lbs import signature
from kernel.settings import Settings
from tests.sandbox_fixtures import Sandbox

HERE = Location(31.2, 121.45)
THERE = Location(31.25, 121.5)


@pytest.fixture
def places(parties: ThirdParties) -> Places:
    assert parties.platforms.places is not None
    return parties.platforms.places


class TestSignature:
    def test_the_published_one(self) -> None:
        """The worked example of the service's page on SN signatures."""
        parameters = {"location": "28.7033487,115.8660847", "key": "5Q5BZ-5EVWJ-SN5F3-K6QBZ-B3FAO-RVBWM"}
        given = signature("/ws/geocoder/v1", parameters, "SWvT26ypwq5Nwb5RvS8cLi6NSoH8HlJX")
        assert given == "90da272bfa19122547298e2b0bcc0e50"


class TestDatum:
    def test_a_place_in_shanghai(self) -> None:
        shifted = from_wgs84(Location(31.1774276, 121.5272106))
        assert shifted.latitude == pytest.approx(31.17530398364597, abs=1e-9)
        assert shifted.longitude == pytest.approx(121.531541859215, abs=1e-9)

    def test_abroad_nothing_is_shifted(self) -> None:
        assert from_wgs84(Location(48.85, 2.35)) == Location(48.85, 2.35)


class TestOnTheSandbox:
    async def test_places(self, places: Places) -> None:
        found = await places.search(text="停车场 A&B=油", near=HERE, radius_m=1_000, limit=3)
        assert [each.title for each in found] == ["停车场 A&B=油1", "停车场 A&B=油2", "停车场 A&B=油3"]
        distances = [each.distance_m or 0 for each in found]
        assert distances == sorted(distances)

    async def test_an_address(self, places: Places) -> None:
        place = await places.at(HERE)
        assert (place.title, place.district) == ("沙箱广场", "徐汇区")

    async def test_drives(self, places: Places) -> None:
        drives = await places.drives(origin=HERE, destinations=[THERE] * 250)
        assert len(drives) == 250
        straight_m = distance_m(HERE.latitude, HERE.longitude, THERE.latitude, THERE.longitude)
        drive = drives[0]
        assert drive is not None
        assert drive.distance_m == pytest.approx(straight_m * 1.3, rel=0.01)
        assert not drive.estimated

    @pytest.mark.parametrize("mode", ["error_500", "quota", "quota_per_second", "garbage"])
    async def test_unavailable(self, places: Places, sandbox: Sandbox, mode: str) -> None:
        sandbox.faults(lbs=mode)
        for asked in (
            places.search(text="x", near=HERE, radius_m=1_000, limit=3),
            places.at(HERE),
            places.drives(origin=HERE, destinations=[THERE]),
        ):
            with pytest.raises(PlacesUnavailable):
                await asked

    async def test_another_secret_and_nothing_is_told(self, settings: Settings, sandbox: Sandbox) -> None:
        wrong = Settings(**{**settings.model_dump(), "tencent_lbs_secret": "wrong-secret"})
        with capture_logs() as logs:
            async with third_parties(wrong) as parties:
                assert parties.platforms.places is not None
                with pytest.raises(PlacesUnavailable):
                    await parties.platforms.places.at(HERE)
        key = (sandbox.keys / "tencent_lbs_key").read_text()
        for hidden in ("wrong-secret", key, "31.2"):
            assert hidden not in str(logs)


class Counting:
    """Gives the drives it is told to, and counts how often it is asked."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.asked = fails, 0

    async def search(self, *, text: str, near: Location, radius_m: int, limit: int) -> list[Place]:
        raise NotImplementedError

    async def at(self, location: Location) -> Place:
        raise NotImplementedError

    async def drives(self, *, origin: Location, destinations: Sequence[Location]) -> list[Drive | None]:
        self.asked += 1
        if self.fails:
            raise PlacesUnavailable
        return [Drive(1_000, 60) if each == THERE else None for each in destinations]


class TestDriving:
    def driving(self, places: Places | None, clock: list[float], *, keep_max: int = 10) -> DrivingDistances:
        return DrivingDistances(places, keep_s=60, keep_max=keep_max, pause_s=5, monotonic_s=lambda: clock[0])

    async def test_what_is_known_is_not_asked_for_again_for_a_while(self) -> None:
        places, clock = Counting(), [0.0]
        driving = self.driving(places, clock)
        for _ in range(3):
            assert await driving.between(origin=HERE, destinations=[THERE]) == [Drive(1_000, 60)]
        assert places.asked == 1
        clock[0] = 61
        await driving.between(origin=HERE, destinations=[THERE])
        assert places.asked == 2

    async def test_where_no_way_is_known_it_is_estimated(self) -> None:
        elsewhere = Location(31.3, 121.6)
        drives = await self.driving(Counting(), [0.0]).between(origin=HERE, destinations=[elsewhere, THERE])
        assert drives == [estimate(HERE, elsewhere), Drive(1_000, 60)]
        assert drives[0].estimated

    async def test_a_service_that_failed_is_left_alone_for_a_moment(self) -> None:
        places, clock = Counting(fails=True), [0.0]
        driving = self.driving(places, clock)
        for _ in range(3):
            assert await driving.between(origin=HERE, destinations=[THERE]) == [estimate(HERE, THERE)]
        assert places.asked == 1
        clock[0], places.fails = 6, False
        assert await driving.between(origin=HERE, destinations=[THERE]) == [Drive(1_000, 60)]

    async def test_without_a_service(self) -> None:
        assert await self.driving(None, [0.0]).between(origin=HERE, destinations=[THERE]) == [estimate(HERE, THERE)]

    async def test_no_more_is_kept_than_the_limit(self) -> None:
        places = Counting()
        driving = self.driving(places, [0.0], keep_max=5)
        for number in range(20):
            await driving.between(origin=Location(30 + number / 10, 121), destinations=[THERE])
        assert len(driving._kept) == 5

    async def test_a_dead_service_takes_its_timeout_and_no_longer(self, settings: Settings, sandbox: Sandbox) -> None:
        hasty = settings.model_copy(update={"tencent_lbs_timeout_s": 0.3})
        async with third_parties(hasty) as parties:
            driving = self.driving(parties.platforms.places, [0.0])
            sandbox.faults(lbs="timeout")
            began_s = time.monotonic()
            (drive,) = await driving.between(origin=HERE, destinations=[THERE])
            assert drive.estimated
            assert time.monotonic() - began_s < 2
            again = asyncio.create_task(driving.between(origin=HERE, destinations=[THERE]))
            assert (await asyncio.wait_for(again, 0.2))[0].estimated
