"""Imported before everything else by a server and a worker: what their modules make while they load stays for good.

The collector would walk it again and again meanwhile, which takes up to a quarter of the time until a process is
ready. It is for the importer to let it run again, with `loaded()`, once everything is loaded.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import ExitStack

from kernel.hiding import hidden, stood_in
from kernel.lighter_dataclasses import made_later
from kernel.undocumented import forget_those_of_classes, undocumented

# httpx's command line, uvicorn's reloading, and that to which Redis's client gives figures where code asks it to.
UNUSED = ("httpx._main", "opentelemetry.metrics", "opentelemetry.sdk.metrics", "watchfiles")
# Libraries import these only to pass on what is in them, or to use it where nobody here asks them to.
PASSED_ON = (
    # The reader of dates of strawberry's own scalar, which the schema has another one for.
    "dateutil",
    "dateutil.parser",
    # The names of characters in HTML, for reading it; the house only writes it.
    "html.entities",
    # A server of its own for metrics.
    "http.server",
    "wsgiref.simple_server",
    # The configuration of logs by uvicorn; the house has its own.
    "logging.config",
    # The settings' command line.
    "pydantic_settings.sources.providers.cli",
    # Redis's clusters, which `kernel/pubsub.py` loads where there is one.
    "redis.asyncio.cluster",
    "redis.asyncio.keyspace_notifications",
    "redis.cluster",
    "redis.keyspace_notifications",
    # uvicorn's command line; the house starts it by itself.
    "uvicorn.main",
)

# Requests leave no cycles behind, so what the collector looks at is what they have under way: with Python's own 700 it
# looks several times at each page that is written. So many objects take a megabyte or two.
YOUNG_MAX = 10_000

gc.disable()
# Pydantic would read the metadata of every installed distribution to find plugins.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
_meanwhile = ExitStack()
_meanwhile.enter_context(undocumented())
_meanwhile.enter_context(hidden(*UNUSED))
_meanwhile.enter_context(stood_in(*PASSED_ON))
_meanwhile.enter_context(made_later())


def loaded(*, for_good: bool) -> None:
    """Let the collector run again, and everybody import what they like.

    A process that does nothing else than what was loaded for keeps it `for_good`: it is looked through once for what is
    garbage, which is most of a megabyte, and no other collection walks it.
    """
    _meanwhile.close()
    if for_good:
        forget_those_of_classes()
        # What is in folders from which nothing is imported any more; it is looked at again where something is.
        sys.path_importer_cache.clear()
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])
    gc.enable()
