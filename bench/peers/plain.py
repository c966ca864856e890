"""Plain strawberry as a server: `strawberry.asgi.GraphQL` on Starlette and uvicorn, and the recharge mutation."""

from __future__ import annotations

from typing import Annotated

import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig

from bench.peers.plain_schema import SCALARS, Info, Order, Query, Yuan, order
from bench.peers.records import Context, Refused, context_of, create_recharge, serve
from domain.identity.tokens import TokenAuthority


@strawberry.input
class CreateRechargeInput:
    card_id: strawberry.ID
    amount: Yuan
    idempotency_key: str


@strawberry.interface
class UserError:
    code: str
    message: str


@strawberry.type
class RechargeRefused(UserError):
    pass


@strawberry.type
class CreateRechargeSuccess:
    order: Order


CreateRechargePayload = Annotated[CreateRechargeSuccess | RechargeRefused, strawberry.union("CreateRechargePayload")]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def create_recharge(self, info: Info, input: CreateRechargeInput) -> CreateRechargePayload:
        made = await create_recharge(
            user_id=info.context.user_id,
            card_id=input.card_id,
            amount_fen=int(input.amount * 100),
            idempotency_key=input.idempotency_key,
        )
        if isinstance(made, Refused):
            return RechargeRefused(code=made.code, message=made.message)
        return CreateRechargeSuccess(order=order(made))


class Server(GraphQL[Context, None]):
    def __init__(self, schema: strawberry.Schema, tokens: TokenAuthority) -> None:
        super().__init__(schema, graphql_ide=None)
        self._tokens = tokens

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        return context_of(self._tokens, request.headers.get("authorization", ""))


def routes(tokens: TokenAuthority) -> list[BaseRoute]:
    schema = strawberry.Schema(query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map=SCALARS))
    return [Route("/graphql", Server(schema, tokens))]


if __name__ == "__main__":
    serve(routes)
