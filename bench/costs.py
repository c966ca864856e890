"""How long it takes to price a document, once and for each request: `python -m bench.costs`."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from graphql import OperationDefinitionNode, parse

from schema import root
from schema.extensions.costs import compiled

ROUNDS = 7
# The limits of documents let in a hundred spreads.
SIZES = (12, 24, 48)
REPEATED = 2_000


def fragments(count: int) -> str:
    """Return a document whose fragments describe 2 to the power of `count` pages."""
    text = "query ($n: Int!) { ...F0 }"
    for number in range(count):
        page = f"a{number}: offers(first: $n) {{ edges {{ node {{ id }} }} }}"
        text += f" fragment F{number} on Query {{ {page} ...F{number + 1} ...F{number + 1} }}"
    return f"{text} fragment F{count} on Query {{ __typename }}"


def best_us(work: Callable[[], object], *, repeated: int = 1) -> float:
    """Return the microseconds of the processor in the best round, since what disturbs only ever adds."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        began_s = time.process_time()
        for _ in range(repeated):
            work()
        best_s = min(best_s, (time.process_time() - began_s) / repeated)
    return best_s * 1e6


def main() -> None:
    prices = root.build().prices
    # As the server does it: a collection that walks the schema would be most of what is measured.
    gc.collect()
    gc.freeze()
    times = []
    for size in SIZES:
        node = parse(fragments(size))
        operation = next(each for each in node.definitions if isinstance(each, OperationDefinitionNode))
        times.append(best_us(lambda node=node, operation=operation: compiled(prices, node, operation), repeated=20))  # type: ignore[misc]
    for size, each in zip(SIZES, times, strict=True):
        print(f"compile  {size:>4} fragments, each spread twice  {each:>9.0f} µs  ×{each / times[0]:.2f}")
    text = """query ($n: Int! = 20) { stations(near: {latitude: 31.2, longitude: 121.4}, first: $n) {
      edges { distance node { name address prices { unitPrice { text } } } } } }"""
    node = parse(text)
    operation = next(each for each in node.definitions if isinstance(each, OperationDefinitionNode))
    plan = compiled(prices, node, operation)
    print(f"compile  the nearest stations            {best_us(lambda: compiled(prices, node, operation)):>9.1f} µs")
    print(
        f"price    them, for one request           {best_us(lambda: plan.price({'n': 20}), repeated=REPEATED):>9.2f} µs"
    )


if __name__ == "__main__":
    main()
