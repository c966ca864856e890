// The resolvers that are the same on every framework: they ask the domain once, and know nothing of relations.
import * as domain from './domain.mjs';
import { scalars } from './schema.mjs';

export const shared = {
  ...scalars,
  Query: {
    station: (_, { id }) => domain.stationById(id),
    stations: (_, asked) => domain.nearest(asked),
    viewer: (_, __, { userId }) => domain.viewerById(userId),
  },
  Viewer: {
    wallet: ({ userId }) => domain.walletOf(userId),
    orders: ({ userId }, { first }) => domain.ordersOf(userId, first),
  },
  Mutation: {
    createRecharge: (_, { input }, { userId }) => domain.createRecharge(userId, input),
  },
};
