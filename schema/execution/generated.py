"""Parts of the answer that code writes which was generated for them, as long as everything is as expected.

Such code makes no places, no coroutines and no errors. Where it meets something that it does not expect, or that is an
error, all that it did for its part is given up, and the part is executed as it would have been without it, so what a
client is told is the same. What relations have loaded by then is not loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Coroutine, Hashable
from types import CoroutineType
from typing import Any, Protocol, TypeAlias

from schema.execution.entities import Site
from schema.execution.leaves import WRITTEN
from schema.execution.metrics import FRAGMENTS_FOUND, FRAGMENTS_MISSED
from schema.execution.relations import Outcomes, Relation, load_all
from schema.execution.running import Place, Run

# What a part is that has to be executed in the general way.
FAILED: Any = object()
General: TypeAlias = Callable[[Run, Any, Any], Any]
# The objects of the answer that wait for what is under one key.
Groups: TypeAlias = dict[Hashable, list[dict[str, Any]]]


class Unexpected(Exception):
    """A value that the general way has to look at."""


def strict(seen: Container[type], write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what writes values of the classes that were seen, and raises where that is not all there is to it."""

    def written(value: Any) -> Any:
        if type(value) not in seen:
            raise Unexpected
        found = write(value)
        if type(found) not in WRITTEN:
            raise Unexpected
        return found

    return written


class Slot:
    """A relation at one site: `put` writes what was loaded into the objects that wait for it."""

    __slots__ = ("put", "relation")

    def __init__(self, relation: Relation) -> None:
        self.relation = relation
        self.put: Callable[[Run, Groups, dict[Hashable, Any], Work], None]


class Work:
    """What writing a part leaves to be done: relations to load, what is to be counted, and fragments to keep."""

    __slots__ = ("fields", "found", "made", "types", "waiting")

    def __init__(self) -> None:
        self.fields = self.types = self.found = 0
        self.waiting: dict[Slot, Groups] = {}
        # Objects of entities, by the keys of their fragments; they may wait for relations yet.
        self.made: dict[Hashable, tuple[Site, dict[str, Any]]] = {}

    def finish(self, run: Run) -> None:
        """Count what the part took, and keep the fragments in it, when all of it is written."""
        if run.meter is not None:
            run.meter.fields += self.fields
            run.meter.types += self.types
        if self.found:
            FRAGMENTS_FOUND.inc(self.found)
        if self.made:
            FRAGMENTS_MISSED.inc(len(self.made))
            for key, (site, written) in self.made.items():
                site.keep(run, key, written)


class Write(Protocol):
    def __call__(self, run: Run, value: Any, work: Work, /) -> Any:
        """Return the part of the answer. Raises anything where the value is not as expected."""


class Generated:
    """What writes the values of one place, once its code was generated: when it is first needed, if it can be."""

    __slots__ = ("_generate", "_write")

    def __init__(self, generate: Callable[[], Write | None]) -> None:
        self._generate: Callable[[], Write | None] | None = generate
        self._write: Write | None = None

    def __call__(self, run: Run, value: Any, place: Place | None, general: General) -> Any:
        """Return the part of the answer, a coroutine of it where something has to be loaded, or FAILED."""
        if self._generate is not None:
            self._write, self._generate = self._generate(), None
        if self._write is None:
            return FAILED
        work = Work()
        try:
            data = self._write(run, value, work)
        except Exception:
            return FAILED
        if work.waiting:
            try:
                if not _write_known(run, work):
                    return _load(run, value, place, general, data, work)
            except Exception:
                return FAILED
        work.finish(run)
        return data


def _write_known(run: Run, work: Work) -> bool:
    """Write what was loaded already, and return whether that is all. Raises anything where it is not as expected."""
    outcomes = run.outcomes
    while waiting := [(slot, groups) for slot, groups in work.waiting.items() if groups]:
        if outcomes is None:
            return False
        for slot, groups in waiting:
            known = outcomes.get(slot.relation)
            if known is None or not known.keys() >= groups.keys():
                return False
        work.waiting = {}
        for slot, groups in waiting:
            slot.put(run, groups, outcomes[slot.relation], work)
    return True


async def _load(run: Run, value: Any, place: Place | None, general: General, data: Any, work: Work) -> Any:
    """Load what is waited for, level by level, and return the whole."""
    outcomes: Outcomes = {relation: dict(known) for relation, known in (run.outcomes or {}).items()}
    try:
        while waiting := [(slot, groups) for slot, groups in work.waiting.items() if groups]:
            work.waiting = {}
            await load_all([(slot.relation, groups) for slot, groups in waiting], run.context, outcomes)
            for slot, groups in waiting:
                slot.put(run, groups, outcomes[slot.relation], work)
    except Exception:
        completed: Coroutine[Any, Any, Any] | Any = general(run.again(outcomes), value, place)
        return await completed if type(completed) is CoroutineType else completed
    work.finish(run)
    return data
