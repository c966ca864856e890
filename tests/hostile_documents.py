"""Documents that are meant to cost a server dearly."""

from __future__ import annotations


def documents() -> dict[str, str]:
    """Return documents that are aimed at the parser, at validation and at execution."""
    many = 400
    return {
        "a fragment bomb": "{...F0} "
        + " ".join(f"fragment F{i} on Query {{...F{i + 1} ...F{i + 1}}}" for i in range(many))
        + f" fragment F{many} on Query {{__typename}}",
        "fragments in a circle": "{...A} fragment A on Query {...B} fragment B on Query {...A}",
        "a chain of fragments": "{...F0} " + " ".join(f"fragment F{i} on Query {{...F{i + 1}}}" for i in range(700)),
        "fields that might merge": "{" + "viewer { id } " * 240 + "}",
        "fragments that might merge": "{" + " ".join(f"...F{i}" for i in range(99)) + "} "
        + " ".join(f"fragment F{i} on Query {{ viewer {{ wallet {{ id }} }} }}" for i in range(99)),
        "many operations": " ".join(f"query Q{i} {{" + "viewer { id } " * 240 + "}" for i in range(4)),
        "deep fields": "{viewer" * 150 + "}" * 150,
        "deeper than the stack": "{viewer" * 2_400 + "}" * 2_400,
        "deep inline fragments": "{..." * 150 + "{__typename}" + "}" * 150,
        "deep lists": "{station(id:" + "[" * 1_000 + "]" * 1_000 + "){id}}",
        "deep objects": "{station(id:" + "{a:" * 1_000 + "1" + "}" * 1_000 + "){id}}",
        "deep types": "query($a:" + "[" * 2_000 + "Int" + "]" * 2_000 + "){__typename}",
        "aliases": "{" + " ".join(f"a{i}:__typename" for i in range(1_500)) + "}",
        "directives": "{__typename " + "@skip(if:false) " * 700 + "}",
        "unknown fields": "{" + " ".join(f"viewe{i}" for i in range(499)) + "}",
        "variables": "query(" + " ".join(f"$a{i}:Int" for i in range(1_200)) + "){__typename}",
        "a huge number": "{station(id:" + "9" * 100_000 + "){id}}",
        "a huge fraction": "{stations(near:{latitude:1." + "9" * 100_000 + ",longitude:1}){nodes{id}}}",
        "a huge exponent": "{stations(near:{latitude:1e999999,longitude:1}){nodes{id}}}",
        "a huge string": '{station(id:"' + "x" * 200_000 + '"){id}}',
        "a huge list": "{station(id:[" + "1 " * 4_900 + "]){id}}",
        "comments": "{__typename}" + "#\n" * 80_000,
        "white space": " " * 250_000 + "{__typename}",
        "tokens": "{" + " a" * 120_000 + "}",
        "no character": "{\x00}",
    }  # fmt: skip
