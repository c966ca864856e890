"""Stations from a GeoJSON file (RFC 7946): a FeatureCollection of Points."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.pricing.records import Outcome, RecordRefused
from domain.stations import operations as stations
from domain.stations.records import StationRecord, source_key_of
from jobs.import_batches import Batch, Item, load_all, seen
from jobs.import_reader import (
    JsonObject,
    Record,
    RecordReader,
    expect_list,
    expect_object,
    is_number,
    member,
    text_member,
)
from jobs.import_report import Report

POSITION_LENGTH_MIN = 2


async def import_stations(path: Path, *, report: Report, clock: Callable[[], datetime]) -> None:
    """Load the file into the database; running it again changes nothing.

    Raises Unreadable and Malformed; what stands before the place where the file stops being JSON is loaded.
    """

    async def write(records: list[StationRecord]) -> list[Outcome]:
        return await stations.load(records=records, now=clock())

    reader = RecordReader(path, "features")
    with seen() as known:
        batch = Batch("stations", write=write, seen=known, report=report)

        def take(record: Record) -> None:
            _check_collection(reader, complete=False)
            where = f"record {record.number} (line {record.line})"
            try:
                station = station_of(record)
            except RecordRefused as refusal:
                report.refuse(batch.kind, where, refusal.reason)
            else:
                batch.add(Item((station.source_key,), where, station))

        await load_all(reader, take=take, batches=(batch,))
    _check_collection(reader, complete=True)


def _check_collection(reader: RecordReader, *, complete: bool) -> None:
    kind = reader.header.get("type")
    if kind != "FeatureCollection" and (complete or kind is not None):
        raise reader.malformed('"type" is not "FeatureCollection"')


def station_of(record: Record) -> StationRecord:
    """Read one Feature. Raises RecordRefused."""
    if record.problem:
        raise RecordRefused(reason=record.problem)
    feature = expect_object(record.value, "the feature")
    if member(feature, "type") != "Feature":
        raise RecordRefused(reason='"type" is not "Feature"')
    longitude, latitude = _position(expect_object(member(feature, "geometry"), "geometry"))
    properties = expect_object(member(feature, "properties"), "properties")
    name = text_member(properties, "name")
    address = text_member(properties, "address", optional=True)
    return StationRecord(
        source_key=source_key_of(feature_id=_feature_id(member(feature, "id")), name=name, address=address),
        name=name,
        address=address,
        province=text_member(properties, "province", optional=True),
        city=text_member(properties, "city", optional=True),
        district=text_member(properties, "district", optional=True),
        latitude=latitude,
        longitude=longitude,
    )


def _position(geometry: JsonObject) -> tuple[float, float]:
    if member(geometry, "type") != "Point":
        raise RecordRefused(reason="geometry is not a Point")
    position = expect_list(member(geometry, "coordinates"), "coordinates")
    # A third number is the altitude, which nobody asks a station for.
    if len(position) < POSITION_LENGTH_MIN or not all(is_number(part) for part in position[:POSITION_LENGTH_MIN]):
        raise RecordRefused(reason="coordinates are not two numbers")
    return _degrees(position[0]), _degrees(position[1])


def _degrees(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        raise RecordRefused(reason="a coordinate is beyond all measure") from None


def _feature_id(value: Any) -> str | None:
    if value is None:
        return None
    if not (is_number(value) or isinstance(value, str)) or not str(value).strip():
        raise RecordRefused(reason='"id" is neither text nor a number')
    return str(value)
