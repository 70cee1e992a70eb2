/**
 * The development issuer over HTTP, on loopback: `POST /token` for whoever holds the issuer's token, and the key set.
 * Bounded and strict, although it is for development: what it signs, the gateway believes.
 */
import { hash } from "node:crypto";
import type { DevIssuer, DevTokenRequest } from "./dev-issuer.ts";
import { sameBytes } from "./proof/same-bytes.ts";

export interface DevIssuerServer {
  readonly url: string;
  close(): Promise<void>;
}

const bodyBytesMax = 16 * 1024;
const secondsMax = 86_400;
const members = ["user_id", "roles", "workspace", "api_version", "expires_in_seconds"];

export function startDevIssuerServer(port: number, issuer: DevIssuer): DevIssuerServer {
  const digest = (text: string) => hash("sha256", text, "buffer");
  const expected = digest(issuer.issuerToken);

  async function token(request: Request): Promise<Response> {
    if (request.method !== "POST") return refuse(405, "only POST", { allow: "POST" });
    const given = request.headers.get("x-issuer-token") ?? "";
    if (!sameBytes(digest(given), expected)) {
      return refuse(401, "X-Issuer-Token must hold what dev-issuer.token in the data folder holds");
    }
    const read = readRequest(await request.text());
    if ("why" in read) return refuse(400, read.why);
    const minted = await issuer.mint(read);
    return answer(200, {
      access_token: minted.token,
      token_type: "Bearer",
      expires_in: minted.expiresInSeconds,
    });
  }

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 10,
    maxRequestBodySize: bodyBytesMax,
    fetch(request) {
      switch (new URL(request.url).pathname) {
        case "/token":
          return token(request);
        case "/.well-known/jwks.json":
          return answer(200, issuer.jwks);
        default:
          return refuse(404, "there are /token and /.well-known/jwks.json");
      }
    },
    error: () => refuse(400, "the request could not be read"),
  });
  return { url: `http://127.0.0.1:${server.port}`, close: () => server.stop(true) };
}

function readRequest(text: string): DevTokenRequest | { readonly why: string } {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { why: "the body must be JSON" };
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return { why: "the body must be an object" };
  }
  const unknown = Object.keys(body).find((name) => !members.includes(name));
  if (unknown !== undefined) return { why: `there are ${members.join(", ")}, and nothing else` };
  return checkMembers(body as Readonly<Record<string, unknown>>);
}

function checkMembers(
  body: Readonly<Record<string, unknown>>,
): DevTokenRequest | { readonly why: string } {
  const { user_id: userId, roles = [], workspace, api_version: apiVersion } = body;
  const seconds = body.expires_in_seconds;
  if (!isName(userId)) return { why: "user_id must be a text of 1 to 256 characters" };
  if (!Array.isArray(roles) || roles.length > 64 || !roles.every(isName)) {
    return { why: "roles must be a list of at most 64 names" };
  }
  if (workspace !== undefined && !isName(workspace)) return { why: "workspace must be a name" };
  if (apiVersion !== undefined && !isName(apiVersion)) return { why: "api_version must be a name" };
  if (seconds !== undefined && !isSeconds(seconds)) {
    return { why: `expires_in_seconds must be a whole number from 1 to ${secondsMax}` };
  }
  return { userId, roles, workspace, apiVersion, expiresInSeconds: seconds };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= 256;
}

function isSeconds(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= secondsMax;
}

function answer(status: number, body: object, more: Record<string, string> = {}): Response {
  const headers = { "content-type": "application/json", "cache-control": "no-store", ...more };
  return new Response(JSON.stringify(body), { status, headers });
}

function refuse(status: number, error: string, more: Record<string, string> = {}): Response {
  return answer(status, { error }, more);
}
