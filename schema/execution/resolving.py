"""How a field gets its value: by an attribute, by its resolver called as it was written, or by whatever it has.

strawberry wraps every resolver in functions that look at its signature on each call. What they find is known when an
operation is compiled. What is out of the ordinary (extensions of fields, handlers of exceptions, generators) is called
through those functions, as graphql-core calls it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any, NamedTuple, TypeAlias, cast

from graphql import GraphQLSchema, default_field_resolver
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryContainer, get_object_definition
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType

from schema.execution.arguments import Arguments, Convert, Parameter
from schema.execution.converting import Making
from schema.execution.guards import Guarded, Resolve
from schema.execution.relations import Relation, load_one, relation_of
from schema.execution.running import Place, ResolveInfo, Run, Site

# Returns the value of a field, or something to be awaited for it; the place is that of the field.
Call: TypeAlias = Callable[[Run, Any, Place], Any]
DEFINITION = "strawberry-definition"
# Where the functions are made that strawberry puts around resolvers.
WRAPPERS = "strawberry.schema.schema_converter"


def attribute_of(schema: GraphQLSchema, site: Site) -> str | None:
    """Return the attribute that the field reads, where it does nothing else; None where it does."""
    field = _strawberry_field(schema, site.definition, site.definition.resolve)
    return field.python_name if field is not None and field.is_basic_field else None


class Simple(NamedTuple):
    """How a field gets its value where that takes the object, constants and `info.context`, and nothing is awaited.

    It is one of an attribute, a function of the object, a function of the object and of what has a `context` (as a
    guard takes it), and a relation, whose key is read by such a function where there is a guard.
    """

    attribute: str | None = None
    function: Callable[[Any], Any] | None = None
    guarded: Callable[[Any, Any], Any] | None = None
    relation: Relation | None = None
    arguments: Arguments | None = None
    # Raises, or returns something else than True, where who asks may not have the relation; None where all may.
    permits: Callable[[Any, Any], Any] | None = None


def simple_of(schema: GraphQLSchema, site: Site) -> Simple | None:
    """Return how the field gets its value, if that is simple; such a field may be asked twice."""
    guards, inner = _unguarded(site)
    field = _strawberry_field(schema, site.definition, inner)
    if field is None or not all(each.repeatable for each in guards):
        return None
    if field.is_basic_field:
        reading = field.python_name
        return _guarded(guards, _reading(reading)) if guards else Simple(attribute=reading)
    resolver = field.base_resolver
    assert resolver is not None
    function: Callable[..., Any] = cast(Any, resolver.wrapped_func)
    arguments = Arguments(site.definition, site.nodes[0], _parameters(schema, field))
    relation = relation_of(function)
    if relation is not None:
        if not guards:
            return Simple(relation=relation, arguments=arguments)
        simple, permits = _guarded(guards, _keying(relation)), _guarded(guards, _permitting)
        if simple is None or permits is None:
            return None
        return simple._replace(relation=relation, arguments=arguments, permits=permits.guarded)
    if iscoroutinefunction(function) or _reserved(resolver)[2] is not None or arguments.constant is None:
        return None
    resolve, constant = _calling(schema, field), arguments.constant
    if guards:
        return _guarded(guards, lambda source, info, /, **_arguments: resolve(source, info, **constant))
    return Simple(function=lambda source: resolve(source, None, **constant))


def _guarded(guards: list[Guarded], resolve: Resolve) -> Simple | None:
    behind = _behind(guards, resolve)
    return None if iscoroutinefunction(behind) else Simple(guarded=behind)


def _keying(relation: Relation) -> Resolve:
    def resolve(source: object, info: Any, /, **arguments: Any) -> Any:
        return relation.key(source, info.context, arguments)

    return resolve


def _permitting(_source: object, _info: Any, /, **_arguments: Any) -> bool:
    return True


def call_of(schema: GraphQLSchema, site: Site) -> Call:
    """Return how the field gets its value."""
    resolve = site.definition.resolve or default_field_resolver
    guards, inner = _unguarded(site)
    field = _strawberry_field(schema, site.definition, inner)
    if field is None:
        # Through the guards too, which belong to it.
        arguments = Arguments(site.definition, site.nodes[0], _as_they_are(site))
        return _call_with_info(resolve, site, arguments)
    if field.is_basic_field:
        return _call_with_info(_behind(guards, _reading(field.python_name)), site, None)
    arguments = Arguments(site.definition, site.nodes[0], _parameters(schema, field))
    if guards:
        return _call_with_info(_behind(guards, _calling(schema, field)), site, arguments)
    return _direct(schema, field, site, arguments)


def _unguarded(site: Site) -> tuple[list[Guarded], Any]:
    """Return the guards, outermost first, and what is behind them."""
    guards: list[Guarded] = []
    inner = site.definition.resolve or default_field_resolver
    while isinstance(inner, Guarded):
        guards.append(inner)
        inner = inner.resolve
    return guards, inner


def _strawberry_field(schema: GraphQLSchema, definition: Any, resolve: Any) -> StrawberryField | None:
    """Return the field as strawberry has it, where its resolver may be called without strawberry's functions."""
    field = definition.extensions.get(DEFINITION)
    if not isinstance(field, StrawberryField) or getattr(resolve, "__module__", None) != WRAPPERS:
        return None
    if not hasattr(resolve, "_is_default") or type(field).get_result is not StrawberryField.get_result:
        return None
    strawberry = _strawberry_schema(schema)
    if strawberry.schema_converter.exception_handlers or field.default_resolver is not getattr or field.extensions:
        return None
    function = field.base_resolver.wrapped_func if field.base_resolver else None
    if function is not None and isasyncgenfunction(function):
        return None
    return None if any(_builds_itself(each.type, set()) for each in field.arguments) else field


def _strawberry_schema(schema: GraphQLSchema) -> Any:
    return cast(Any, schema)._strawberry_schema


def _behind(guards: list[Guarded], resolve: Resolve) -> Resolve:
    for each in reversed(guards):
        resolve = each.guard(resolve)
    return resolve


def _reading(name: str) -> Resolve:
    def resolve(source: object, _info: Any, /, **_arguments: Any) -> Any:
        return getattr(source, name)

    return resolve


def _relating(relation: Relation) -> Resolve:
    async def resolve(source: object, info: Any, /, **arguments: Any) -> Any:
        context = info.context
        loaded = await load_one(relation, relation.key(source, context, arguments), context, info.outcomes)
        return relation.finish(loaded, **arguments)

    return resolve


def _calling(schema: GraphQLSchema, field: StrawberryField) -> Resolve:
    """Return a resolver as graphql-core calls it, whose arguments are as the function takes them."""
    resolver = field.base_resolver
    assert resolver is not None
    function: Callable[..., Any] = cast(Any, resolver.wrapped_func)
    relation = relation_of(function)
    if relation is not None:
        return _relating(relation)
    takes_self, source_name, info_name = _reserved(resolver)
    info_class = _strawberry_schema(schema).config.info_class

    def resolve(source: object, info: Any, /, **arguments: Any) -> Any:
        if source_name is not None:
            arguments[source_name] = source
        if info_name is not None:
            arguments[info_name] = info_class(_raw_info=info, _field=field)
        return function(source, **arguments) if takes_self else function(**arguments)

    return resolve


def _reserved(resolver: Any) -> tuple[bool, str | None, str | None]:
    """Return whether the source comes first, or under which name, and under which name the info."""
    source = resolver.parent_parameter or resolver.root_parameter
    info = resolver.info_parameter
    return resolver.self_parameter is not None, source and source.name, info and info.name


def _direct(schema: GraphQLSchema, field: StrawberryField, site: Site, arguments: Arguments) -> Call:
    resolve = _calling(schema, field)
    resolver = field.base_resolver
    assert resolver is not None
    function: Callable[..., Any] = cast(Any, resolver.wrapped_func)
    if not iscoroutinefunction(function) or not arguments.converts:
        return _call_with_info(resolve, site, arguments)

    async def converted(run: Run, source: Any, place: Place) -> Any:
        # A conversion that fails does so when the resolver would have begun, and not before its siblings are asked.
        info = ResolveInfo(run, site, place)
        return await cast(Awaitable[Any], resolve(source, info, **arguments.read(run)))

    return converted


def _call_with_info(resolve: Resolve, site: Site, arguments: Arguments | None) -> Call:
    if arguments is None or arguments.constant == {}:

        def call_bare(run: Run, source: Any, place: Place) -> Any:
            return resolve(source, ResolveInfo(run, site, place))

        return call_bare
    constant = arguments.constant
    if constant is not None:

        def call_constant(run: Run, source: Any, place: Place) -> Any:
            return resolve(source, ResolveInfo(run, site, place), **constant)

        return call_constant

    def call(run: Run, source: Any, place: Place) -> Any:
        return resolve(source, ResolveInfo(run, site, place), **arguments.read(run))

    return call


def _as_they_are(site: Site) -> dict[str, Parameter]:
    names = [argument.out_name or name for name, argument in site.definition.args.items()]
    return {name: Parameter(name, None) for name in names}


def _parameters(schema: GraphQLSchema, field: StrawberryField) -> dict[str, Parameter]:
    """Return how the resolver takes its arguments, by their names in GraphQL."""
    name_of = _strawberry_schema(schema).config.name_converter.from_argument
    return {name_of(each): Parameter(each.python_name, _converter(schema, each)) for each in field.arguments}


def _converter(schema: GraphQLSchema, argument: StrawberryArgument) -> Convert | None:
    strawberry = _strawberry_schema(schema)
    registry, config = strawberry.schema_converter.scalar_registry, strawberry.config
    make = Making(registry, config, config.name_converter.from_argument(argument)).of(argument.type)
    return None if make is None else lambda value, _run: make(value)


def _builds_itself(kind: Any, seen: set[Any]) -> bool:
    """Whether an input type, or one inside it, makes its own values, and so may ask for more than its input."""
    while isinstance(kind, StrawberryContainer | LazyType):
        kind = kind.resolve_type() if isinstance(kind, LazyType) else kind.of_type
    definition = get_object_definition(kind) if isinstance(kind, type) else None
    if definition is None or kind in seen:
        return False
    seen.add(kind)
    return definition.from_input is not None or any(
        _builds_itself(each.resolve_type(type_definition=definition), seen) for each in definition.fields
    )
