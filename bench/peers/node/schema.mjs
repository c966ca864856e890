// The schema that both frameworks serve, who asks, and the scalars.
import { readFileSync } from 'node:fs';
import { createVerifier } from 'fast-jwt';
import { GraphQLScalarType } from 'graphql';

const TOKENS_KEPT_MAX = 10_000;
const YUAN = /^(\d{1,9})(?:\.(\d{1,2}))?$/;

export const typeDefs = readFileSync(process.env.SCHEMA_PATH, 'utf8');

const verify = createVerifier({
  key: process.env.TOKEN_PUBLIC_KEY,
  algorithms: ['ES256'],
  allowedIss: process.env.YOUKA_TOKEN_ISSUER,
  allowedAud: process.env.TOKEN_AUDIENCE,
  cache: TOKENS_KEPT_MAX,
});

export function userIdOf(authorization) {
  return authorization?.startsWith('Bearer ') ? verify(authorization.slice(7)).sub : null;
}

function fenOf(text) {
  const [, whole, rest = ''] = YUAN.exec(text) ?? [];
  if (whole === undefined) throw new TypeError('not an amount of yuan');
  return Number(whole) * 100 + Number(rest.padEnd(2, '0'));
}

export const scalars = {
  DateTime: new GraphQLScalarType({ name: 'DateTime', serialize: (moment) => moment.toISOString() }),
  Yuan: new GraphQLScalarType({ name: 'Yuan', serialize: String, parseValue: fenOf }),
};
