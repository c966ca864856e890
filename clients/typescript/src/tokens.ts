// Tokens: those of a partner's client, which proves who it is by its private key (RFC 7523), or one that is at hand.

import { SignInFailed } from "./errors.js";

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const METADATA_PATH = "/.well-known/oauth-authorization-server";
const ASSERTION_LIFETIME_S = 60;
/** A token is renewed so long before it expires, or at half of its life where that is shorter. */
const MARGIN_MS = 30_000;
const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** Where access tokens come from: one that is good for now, and another one than `refused`. */
export interface Tokens {
  token(url: string, fetch: Fetch, refused?: string): Promise<string>;
}

/** A token that was had elsewhere. */
export class FixedToken implements Tokens {
  constructor(private readonly held: string) {}

  async token(_url: string, _fetch: Fetch, refused?: string): Promise<string> {
    if (refused === this.held) throw new SignInFailed("invalid_token", "the token is not good any more");
    return this.held;
  }
}

/** The tokens of one client, asked for when the last one is about to expire. `key` is its private key, a JWK of P-256. */
export class ClientCredentials implements Tokens {
  private held: string | undefined;
  private renewAtMs = 0;
  private asking: Promise<string> | undefined;

  constructor(
    private readonly clientId: string,
    private readonly key: JsonWebKey,
    private readonly scopes?: string,
  ) {}

  async token(url: string, fetch: Fetch, refused?: string): Promise<string> {
    if (this.held !== undefined && this.held !== refused && Date.now() < this.renewAtMs) return this.held;
    // Whoever comes while somebody asks takes what they are given.
    this.asking ??= this.ask(url, fetch).finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  private async ask(url: string, fetch: Fetch): Promise<string> {
    const metadata = await checked(await fetch(url + METADATA_PATH));
    const endpoint = String(metadata["token_endpoint"]);
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: await this.assertion(endpoint),
      ...(this.scopes === undefined ? {} : { scope: this.scopes }),
    });
    const given = await checked(await fetch(endpoint, { method: "POST", body: form }));
    const lifetimeMs = Number(given["expires_in"]) * 1_000;
    this.renewAtMs = Date.now() + Math.max(lifetimeMs - MARGIN_MS, lifetimeMs / 2);
    this.held = String(given["access_token"]);
    return this.held;
  }

  private async assertion(audience: string): Promise<string> {
    const now = Math.floor(Date.now() / 1_000);
    const claims = {
      iss: this.clientId,
      sub: this.clientId,
      aud: audience,
      iat: now,
      exp: now + ASSERTION_LIFETIME_S,
      jti: crypto.randomUUID(),
    };
    const key = await crypto.subtle.importKey("jwk", this.key, CURVE, false, ["sign"]);
    const signed = `${encoded({ alg: "ES256", kid: await thumbprint(this.key) })}.${encoded(claims)}`;
    const signature = await crypto.subtle.sign(SIGNATURE, key, new TextEncoder().encode(signed));
    return `${signed}.${base64url(new Uint8Array(signature))}`;
  }
}

/** Returns the name of a key (RFC 7638). */
export async function thumbprint(key: JsonWebKey): Promise<string> {
  const members = JSON.stringify({ crv: key.crv, kty: key.kty, x: key.x, y: key.y });
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(members))));
}

function encoded(value: object): string {
  return base64url(new TextEncoder().encode(JSON.stringify(value)));
}

function base64url(bytes: Uint8Array): string {
  const text = Array.from(bytes, (each) => String.fromCharCode(each)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function checked(answer: Response): Promise<Record<string, unknown>> {
  const body: unknown = await answer.json().catch(() => null);
  const fields = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  if (answer.ok) return fields;
  throw new SignInFailed(String(fields["error"] ?? `HTTP ${answer.status}`), String(fields["error_description"] ?? ""));
}
