"""The committed store of trusted documents, and what it is made from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from graphql import GraphQLError

from endpoints.graphiql import TABS
from schema.extensions import trusted
from schema.extensions.trusted import PATH, SDL_PATH, SOURCES, TrustedDocuments, collect, hash_of


def test_the_store_is_what_the_clients_ask() -> None:
    committed = json.loads(PATH.read_text(encoding="utf-8"))
    assert committed == collect(SOURCES, SDL_PATH.read_text(encoding="utf-8"))
    assert {hash_of(text) for text in committed.values()} == set(committed)
    assert trusted.main(["--check"]) == 0


def test_what_graphiql_shows_is_trusted() -> None:
    store = TrustedDocuments.read(only=True)
    for tab in TABS:
        assert store.text_of(tab.query, []) == tab.query


def test_an_outdated_store_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "documents.json"
    monkeypatch.setattr(trusted, "PATH", path)
    assert trusted.main(["--check"]) == 1
    assert "make documents" in capsys.readouterr().err
    assert trusted.main([]) == 0
    assert trusted.main(["--check"]) == 0
    path.write_text(path.read_text() + " ")
    assert trusted.main(["--check"]) == 1


def test_a_document_that_the_schema_does_not_have_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrong.graphql").write_text("{ nonsense }")
    with pytest.raises(GraphQLError, match=r"wrong\.graphql"):
        collect(tmp_path, SDL_PATH.read_text(encoding="utf-8"))
