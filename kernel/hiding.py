"""Libraries load others in case somebody uses both; what nobody here uses together need not be loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Inside, an import of one of these modules fails as if it was not installed; what is loaded already stays."""
    absent = [name for name in names if name not in sys.modules]
    # This is how Python itself notes that there is no such module.
    sys.modules.update(dict.fromkeys(absent, cast("ModuleType", None)))
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
