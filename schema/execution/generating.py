"""Writes the code that writes a part of the answer: a function for a selection or a list, and one for each relation.

The text has nothing of a document in it but the keys of the answer; everything else is bound to names. It can be read:
`Source.text` has it all, and tests show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import isfinite
from typing import Any, cast

from graphql import GraphQLEnumType, GraphQLObjectType

from kernel.shapes import Shape, Written
from schema.execution.classes import class_of, generic_of
from schema.execution.completing import Completion, Items, Leaf, Objects
from schema.execution.entities import Site, entity_of, site_of
from schema.execution.generated import Slot, Unexpected, Write, strict
from schema.execution.leaves import enum_attribute, enum_table, unchanged_unless
from schema.execution.lines import Lines, NotGenerated
from schema.execution.relations import outcome
from schema.execution.resolving import Simple
from schema.execution.selections import FieldLike, Reading, SelectionLike, is_read, leads_on
from schema.execution.typing import CAST

# Python refuses more than twenty loops within each other.
NESTED_MAX = 12
FIELDS_MAX = 400
# What a line takes as code, measured.
BYTES_PER_LINE = 700
# So many different values are remembered as they are written, at each place; what they take.
VALUES_KNOWN_MAX = 256
BYTES_OF_VALUES = 450 * VALUES_KNOWN_MAX


def selection_code(kind: GraphQLObjectType, selection: SelectionLike) -> Source:
    """Return the function that writes an object of a type. Raises NotGenerated."""
    source = Source()
    only = class_of(kind)
    with source.function("write", "value"):
        if only is not None:
            with source.block(f"if type(value) is not {source.bind(only.__name__, only)}:"):
                source.line("raise Unexpected")
        source.line(f"return {source.object(only, selection, 'value')}")
    return source


def list_code(items: Items) -> Source:
    """Return the function that writes a list. Raises NotGenerated."""
    source = Source()
    with source.function("write", "value"):
        source.line(f"return {source.list(items, 'value')}")
    return source


class Source(Lines):
    """The text of functions."""

    def __init__(self) -> None:
        super().__init__({"Unexpected": Unexpected, "Written": Written, "isfinite": isfinite, "outcome": outcome})
        self._functions: list[list[str]] = []
        self._loops = self._fields = 0
        self._counts = False
        self._slots: list[str] = []
        # Names of the sites of entities in a function; within one, what is an entity itself is a part of it.
        self._sites: list[str] = []
        self._within = False
        self._later: list[Callable[[], None]] = []
        # How many places of mere values there are.
        self._known = 0

    @property
    def text(self) -> str:
        return "\n\n".join("\n".join(lines) for lines in self._functions) + "\n"

    @property
    def size_bytes(self) -> int:
        return BYTES_PER_LINE * sum(map(len, self._functions)) + BYTES_OF_VALUES * self._known

    def compiled(self) -> Write:
        """Return the first function."""
        exec(compile(self.text, "<a part of an answer>", "exec"), self._names)  # noqa: S102 - see the head of this page
        for name, value in list(self._names.items()):
            if isinstance(value, Slot):
                value.put = self._names[f"put_{name}"]
        write: Write = self._names["write"]
        return write

    @contextmanager
    def function(self, name: str, takes: str) -> Iterator[None]:
        """Write a function, and those that it leaves for later."""
        self._lines, self._slots, self._sites, self._counts, self._indent = [], [], [], False, 1
        yield
        head = [f"def {name}(run, {takes}, work):"]
        if self._counts:
            head.append("    fields = types = 0")
            self._lines[-1:-1] = ["    work.fields += fields", "    work.types += types"]
        head += [f"    groups_{slot} = work.waiting.setdefault({slot}, {{}})" for slot in self._slots]
        for site in self._sites:
            head += [
                f"    selected_{site} = {site}.selected(run)",
                f"    find_{site} = run.fragments and run.fragments.get",
            ]
        self._functions.append(head + self._lines)
        later, self._later = self._later, []
        for each in later:
            each()

    def value(self, part: Completion, value: str) -> str:
        """Write what makes a part of the answer of the value of this name, and return the name of that."""
        if part.leaf is not None:
            self._leaf(part.leaf, value, nullable=part.nullable)
            return value
        if not part.nullable:
            return self._composite(part, value)
        written = self.fresh("part")
        with self.block(f"if {value} is None:"):
            self.line(f"{written} = None")
        with self.block("else:"):
            self.line(f"{written} = {self._composite(part, value)}")
        return written

    def _composite(self, part: Completion, value: str) -> str:
        if part.items is not None:
            return self.list(part.items, value)
        if part.objects is None:
            raise NotGenerated
        return self._checked_object(part.objects, value)

    def list(self, items: Items, value: str, each: Callable[[str], str] | None = None) -> str:
        """Write what makes a list; `each` writes an item, where it is not the value of that."""
        if self._loops == NESTED_MAX:
            raise NotGenerated
        written, item = self.fresh("list"), self.fresh("item")
        with self.block(f"if type({value}) is not list:"):
            self.line("raise Unexpected")
        self.line(f"{written} = []")
        self._loops += 1
        with self.block(f"for {item} in {value}:"):
            self.line(f"{written}.append({each(item) if each is not None else self.value(items.inside, item)})")
        self._loops -= 1
        return written

    def _checked_object(self, objects: Objects, value: str) -> str:
        only, generic = class_of(objects.kind), generic_of(objects.kind)
        if only is not None:
            unexpected = f"type({value}) is not {self.bind(only.__name__, only)}"
        else:
            unexpected = f"type({value}) not in {self.bind('known', objects.known)}"
        if only is None and hasattr(generic, "readers"):
            only = generic
            unexpected += f" or type({value}) is not {self.bind('generic', generic)}"
        if objects.minds_casts:
            # What is read from a row would look for the mark there as well.
            is_read = hasattr(only, "readers")
            unexpected += f" or {CAST!r} in {value}.__dict__" if is_read else f" or getattr({value}, {CAST!r}, None)"
        with self.block(f"if {unexpected}:"):
            self.line("raise Unexpected")
        return self.object(only, cast(SelectionLike, objects.selection), value)

    def object(self, only: type | None, selection: SelectionLike, value: str) -> str:
        """Write what makes an object of the answer; `only` is the class of the value where there is only one."""
        if not hasattr(only, "readers"):
            return self._written(selection, value, lambda attribute: f"{value}.{attribute}")
        row = self.fresh("row")
        self.line(f"{row} = {value}.row")
        return self._of_row(cast(type, only), selection, row, value)

    def _shaped(self, shape: Shape | None, row: str, otherwise: Callable[[], str]) -> str:
        """Write what takes an object, or a list, as the database wrote it, or makes it where it did not."""
        if shape is None:
            return otherwise()
        made = self.fresh("object")
        with self.block(f"if type({row}) is Written:"):
            with self.block(f"if {row}.shape is not {self.bind('shape', shape)}:"):
                self.line("raise Unexpected")
            self._take(row, made, counts=bool(shape.fields or shape.types or shape.more))
        with self.block("else:"):
            self.line(f"{made} = {otherwise()}")
        return made

    def _take(self, there: str, made: str, *, counts: bool) -> None:
        """Write what takes the JSON that is there, and counts what it was counted."""
        self.line(f"{made} = {there}.json")
        if counts:
            self._counts = True
            self.line(f"fields += {there}.fields")
            self.line(f"types += {there}.types")

    def _of_row(self, only: type, selection: SelectionLike, row: str, value: str) -> str:
        """Write what makes an object of the answer of the row of this name; nobody asks for `value` if all is read."""
        shape = selection.shape if not self._within else None
        return self._shaped(shape, row, lambda: self._read(only, selection, row, value))

    def _read(self, only: type, selection: SelectionLike, row: str, value: str) -> str:
        readers: Mapping[str, Callable[[Any], Any]] = cast(Any, only).readers
        read = Reading(self.bind, row, readers)
        entity = entity_of(only) if not self._within else None
        site = site_of(entity, only, selection) if entity is not None else None
        if entity is not None and site is not None:
            return self._entity(site, selection, value, read, f"{row}.{entity.key}")
        value_of: type | None = getattr(only, "value_of", None)
        if value_of is not None and all(each.completion.leaf for each in selection.fields if each.constant is None):
            return self._value(value_of, selection, value, read)
        return self._written(selection, value, read)

    def _value(self, value_of: type, selection: SelectionLike, value: str, read: Reading) -> str:
        """Write what makes the object of a mere value once, and then takes that."""
        known, made, row = self.bind("known", {}), self.fresh("object"), read.row
        self._known += 1
        self._weigh(selection.weights)
        with self.block(f"if type({row}) is not {self.bind(value_of.__name__, value_of)}:"):
            self.line("raise Unexpected")
        self.line(f"{made} = {known}.get({row})")
        with self.block(f"if {made} is None:"):
            self.line(f"{made} = {self._written(selection, value, read, weighed=True)}")
            with self.block(f"if len({known}) < {VALUES_KNOWN_MAX}:"):
                self.line(f"{known}[{row}] = {made}")
        return made

    def _entity(
        self, site: Site, selection: SelectionLike, value: str, read: Callable[[str], str], identity: str
    ) -> str:
        """Write what takes an entity's fragment if it is kept, and else makes its object and leaves it to be kept."""
        name, key, kept, made = self.bind("site", site), self.fresh("key"), self.fresh("kept"), self.fresh("object")
        self._sites.append(name)
        self.line(f"{key} = selected_{name} and (selected_{name}, {identity})")
        self.line(f"{kept} = {key} and find_{name}({key})")
        with self.block(f"if {kept}:"):
            self._take(kept, made, counts=site.counts)
            self.line("work.found += 1")
        with self.block("else:"):
            self._within = True
            self.line(f"{made} = {self._written(selection, value, read)}")
            self._within = False
            with self.block(f"if {key}:"):
                self.line(f"work.made[{key}] = {name}, {made}")
        return made

    def _written(
        self, selection: SelectionLike, value: str, read: Callable[[str], str], *, weighed: bool = False
    ) -> str:
        entries: list[str] = []
        related: list[tuple[FieldLike, Simple]] = []
        self._fields += len(selection.fields)
        if self._fields > FIELDS_MAX:
            raise NotGenerated
        if not weighed:
            self._weigh(selection.weights)
        for field in selection.fields:
            simple = field.simple if field.constant is None else None
            if field.constant is not None:
                written = repr(field.constant)
            elif simple is None:
                raise NotGenerated
            elif simple.relation is not None:
                written = "None"
                related.append((field, simple))
            elif (part := self._part_of_row(field, simple, read)) is not None:
                written = part
            else:
                found = self.fresh("value")
                self.line(f"{found} = {self._found(simple, value, read)}")
                written = self.value(field.completion, found)
            entries.append(f"{field.key!r}: {written}")
        made = self.fresh("object")
        self.line(f"{made} = {{{', '.join(entries)}}}")
        for field, simple in related:
            self._relate(field, simple, value, made, read)
        return made

    def _part_of_row(self, field: FieldLike, simple: Simple, read: Callable[[str], str]) -> str | None:
        """Write an object that a reader only makes of a part of the row, without making it; None where it is needed."""
        reader: Any = read.readers.get(simple.attribute or "") if isinstance(read, Reading) else None
        kind: type | None = getattr(reader, "kind", None)
        if kind is None:
            return None
        items = field.completion.items if reader.many else None
        objects = items.inside.objects if items is not None else field.completion.objects
        if objects is None or class_of(objects.kind) is not kind:
            return None
        selection = cast("SelectionLike", objects.selection)
        if not all(each.constant is not None or is_read(each.simple) for each in selection.fields):
            return None
        part: str | None = reader.part
        row = self.fresh("row")
        self.line(f"{row} = {cast(Reading, read).row}" + (f".{part}" if part else ""))
        if items is not None:
            listed = partial(self.list, items, row, lambda each: self._of_row(kind, selection, each, "None"))
            return self._shaped(selection.shape, row, listed)
        with self.block(f"if {row} is None:"):
            self.line("raise Unexpected")
        return self._of_row(kind, selection, row, "None")

    def _found(self, simple: Simple, value: str, read: Callable[[str], str]) -> str:
        if simple.attribute is not None:
            return read(simple.attribute)
        if simple.function is not None:
            return f"{self.bind('function', simple.function)}({value})"
        return f"{self.bind('guarded', simple.guarded)}({value}, run)"

    def _relate(self, field: FieldLike, simple: Simple, value: str, made: str, read: Callable[[str], str]) -> None:
        relation = simple.relation
        assert relation is not None
        key, group = self.fresh("key"), self.fresh("group")
        given = self._given(simple) if relation.keyed_by_arguments else ""
        if simple.guarded is not None:
            self.line(f"{key} = {self.bind('guarded', simple.guarded)}({value}, run{given})")
        elif isinstance(relation.by, str):
            self.line(f"{key} = {read(relation.by)}")
        else:
            self.line(f"{key} = {self.bind('by', relation.by)}({value}, run.context{given})")
        slot = self.bind("slot", Slot(relation))
        self._slots.append(slot)
        self.line(f"{group} = groups_{slot}.get({key})")
        with self.block(f"if {group} is None:"):
            self.line(f"groups_{slot}[{key}] = [{made}]")
        with self.block("else:"):
            self.line(f"{group}.append({made})")
        within = self._within
        self._later.append(lambda: self._put(field, simple, slot, within))

    def _put(self, field: FieldLike, simple: Simple, slot: str, within: bool) -> None:
        """Write the function that writes what was loaded: once for all that wait for it, if nothing below waits."""
        assert simple.relation is not None
        loops = self._loops
        self._loops, self._within = 2, within
        with self.function(f"put_{slot}", "groups, found"):
            given = self._given(simple)
            finish = self.bind("finish", simple.relation.finish)
            shared = not leads_on(field.completion)
            with self.block("for key, objects in groups.items():"):
                self.line("loaded = outcome(found[key])")
                if shared:
                    begun, counts = len(self._lines), self._counts
                    self._counts = False
                    self._finish(field, f"{finish}(loaded{given})")
                    if self._counts:
                        self._lines.insert(begun, "    " * self._indent + "before = fields, types")
                        self.line("fields += (fields - before[0]) * (len(objects) - 1)")
                        self.line("types += (types - before[1]) * (len(objects) - 1)")
                    self._counts = self._counts or counts
                    with self.block("for each in objects:"):
                        self.line(f"each[{field.key!r}] = part")
                else:
                    with self.block("for each in objects:"):
                        self._finish(field, f"{finish}(loaded{given})")
                        self.line(f"each[{field.key!r}] = part")
            self.line("return None")
        self._loops, self._within = loops, False

    def _given(self, simple: Simple) -> str:
        """Write what reads a field's arguments, and return how a call is given them."""
        arguments = simple.arguments
        assert arguments is not None
        if arguments.constant is None:
            name = self.fresh("arguments")
            self.line(f"{name} = {self.bind('reading', arguments)}.read(run)")
            return f", **{name}"
        return f", **{self.bind('constant', arguments.constant)}" if arguments.constant else ""

    def _finish(self, field: FieldLike, call: str) -> None:
        self.line(f"finished = {call}")
        self.line(f"part = {self.value(field.completion, 'finished')}")

    def _weigh(self, weights: tuple[int, int]) -> None:
        for name, weight in zip(("fields", "types"), weights, strict=True):
            if weight:
                self._counts = True
                self.line(f"{name} += {weight}")

    def _leaf(self, leaf: Leaf, value: str, *, nullable: bool) -> None:
        there = f"{value} is not None" if nullable else ""
        checks = unchanged_unless(leaf.kind, value)
        if checks:
            condition = " and ".join(filter(None, (there, checks)))
            with self.block(f"if {condition}:"):
                self.line(f"{value} = {self.bind('write', strict(leaf.seen, leaf.write))}({value})")
            return
        table = enum_table(leaf.kind) if isinstance(leaf.kind, GraphQLEnumType) else None
        if table is not None:
            members, names = table
            with self.block(f"if type({value}) is {self.bind(members.__name__, members)}:"):
                attribute = enum_attribute(members, names)
                # A member finds itself in a table by a function of Python's.
                found = f"{value}.{attribute}" if attribute else f"{self.bind('names', names)}[{value}]"
                self.line(f"{value} = {found}")
            with self.block(f"elif {there}:" if there else "else:"):
                self.line(f"{value} = {self.bind('write', strict(leaf.seen, leaf.write))}({value})")
            return
        write = f"{value} = {self.bind('write', strict(leaf.seen, leaf.write))}({value})"
        if there:
            with self.block(f"if {there}:"):
                self.line(write)
        else:
            self.line(write)
