"""What the client knows of the schema and of its documents.

Made by `make clients`; do not edit.
"""

from __future__ import annotations
