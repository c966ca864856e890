"""Who is measured: one line for each server. Another way to set Youka up is another line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ENGINES = ("sqlite", "postgres")
NOTHING_KEPT = {"YOUKA_RESPONSE_CACHE_SIZE_MAX_BYTES": "0", "YOUKA_FRAGMENT_CACHE_SIZE_MAX_BYTES": "0"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A server: a module of the project, or a file of `peers/node` (`.mjs`), and what it is told by the environment.

    `mode` names the bars that a way of running Youka answers to (see `bars`); without one it is only measured.
    """

    name: str
    title: str
    program: str
    environment: Mapping[str, str] = field(default_factory=dict)
    engines: Sequence[str] = ENGINES
    mode: str = ""

    @property
    def is_ours(self) -> bool:
        return self.program == "app"

    @property
    def on_node(self) -> bool:
        return self.program.endswith(".mjs")


# From the barest to the one with everything, which is always measured, and which ratios are against.
OURS = (
    Subject(
        "youka-graphql-core",
        "Youka, graphql-core",
        "app",
        {"YOUKA_COMPILED_EXECUTION": "false", "YOUKA_JOINED_LOADS": "false", **NOTHING_KEPT},
    ),
    Subject(
        "youka-bare",
        "Youka, every request for itself",
        "app",
        {"YOUKA_JOINED_LOADS": "false", **NOTHING_KEPT},
        mode="bare",
    ),
    Subject(
        "youka-batching",
        "Youka, nothing kept",
        "app",
        NOTHING_KEPT,
        mode="batching",
    ),
    Subject(
        "youka-fragments",
        "Youka, no whole answers kept",
        "app",
        {"YOUKA_RESPONSE_CACHE_SIZE_MAX_BYTES": "0"},
    ),
    Subject("youka", "Youka", "app", mode="cached"),
)
PEERS = (
    Subject("strawberry", "plain strawberry", "bench.peers.plain"),
    Subject("ariadne", "ariadne", "bench.peers.ariadne_server"),
    Subject("mercurius-pg", "mercurius, jit, pg", "mercurius.mjs", {"PG_DRIVER": "pg"}, ("postgres",)),
    Subject(
        "mercurius-postgres", "mercurius, jit, postgres.js", "mercurius.mjs", {"PG_DRIVER": "postgres"}, ("postgres",)
    ),
    Subject("yoga", "graphql-yoga, pg", "yoga.mjs", {"PG_DRIVER": "pg"}, ("postgres",)),
)
SUBJECTS = {subject.name: subject for subject in (*OURS, *PEERS)}
PEER_NAMES = tuple(subject.name for subject in PEERS)
MERCURIUS = ("mercurius-pg", "mercurius-postgres")
PLAIN = "strawberry"
HEADLINE = OURS[-1].name
WAY_NAMES = tuple(subject.name for subject in OURS[:-1])


def chosen(ways: Sequence[str], peers: Sequence[str], engine: str) -> list[Subject]:
    """Return Youka, other ways of running it and the peers, all by these names, those that run on the engine."""
    wanted = {*ways, HEADLINE, *peers}
    return [each for each in SUBJECTS.values() if each.name in wanted and engine in each.engines]
