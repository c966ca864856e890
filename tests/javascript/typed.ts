// What the compiler must know of answers and variables: each wrong line here has to be refused.

import { YoukaClient, arrivals, createRecharge, isRefusal, order, stations } from "youka-client";

export async function wrong(youka: YoukaClient): Promise<void> {
  const created = await youka.run(createRecharge, { card: "c", amount: "100.00" });
  // @ts-expect-error -- it may be another member.
  created.order;
  if (created.__typename === "CreateRechargeSuccess") {
    created.order.amount.fen.toFixed();
    // @ts-expect-error -- a success has no code.
    created.code;
    // @ts-expect-error -- the document does not ask for it.
    created.order.updatedAt;
  }
  if (created.__typename === "InvalidAmount") created.maximum?.text.toLowerCase();
  if (isRefusal(created)) created.message.toLowerCase();
  // @ts-expect-error -- the amount is text.
  await youka.run(createRecharge, { card: "c", amount: 100 });
  // @ts-expect-error -- the card is missing.
  await youka.run(createRecharge, { amount: "100.00" });
  // @ts-expect-error -- there is no such product, or it is misspelt.
  await youka.run(stations, { near: { latitude: 1, longitude: 2 }, product: 95 });
  const found = await youka.run(order, { order: "o" });
  // @ts-expect-error -- there may be none.
  found.state;
  for await (const event of youka.subscribe(arrivals, {})) {
    // @ts-expect-error -- a gap has no notice.
    event.notice;
  }
}
