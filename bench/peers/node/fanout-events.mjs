// What the fan-out servers in JavaScript tell: one schema, and an event for each number that is published.
export const FIRST_MILLIYUAN = Number(process.env.FIRST_MILLIYUAN);
const SOURCE = process.env.SOURCE;

export const PORT = Number(process.env.PORT);
export const READY_PATH = process.env.READY_PATH;
export const PUBLISH_PATH = process.env.PUBLISH_PATH;

export const typeDefs = `
  type UnitPrice { milliyuan: Int! text: String! }
  type Price { product: String! unitPrice: UnitPrice! effectiveFrom: String! source: String! }
  type PriceChangeEvent { cursor: String! price: Price! previous: UnitPrice }
  type Query { hello: String! }
  type Subscription { priceChanges: PriceChangeEvent! }
`;

const unitPrice = (milliyuan) => ({ milliyuan, text: `¥${(milliyuan / 1000).toFixed(3)}/L` });

export const eventOf = (number) => ({
  priceChanges: {
    cursor: `prices:${number}`,
    price: {
      product: 'GASOLINE_92',
      unitPrice: unitPrice(FIRST_MILLIYUAN + number),
      effectiveFrom: new Date().toISOString(),
      source: SOURCE,
    },
    previous: unitPrice(FIRST_MILLIYUAN - 1),
  },
});
