/**
 * Page sizes and page tokens of every List and Query. A token says where the next page starts and for which question;
 * used with another question it is refused instead of answering something in between. It grants nothing.
 */
import { createHash } from "node:crypto";
import { GatewayError } from "../errors/fault.ts";

export const pageSizeDefault = 100;
export const pageSizeMax = 1000;
const tokenLengthMax = 2048;

/** The page size in force; throws invalid-params beyond the maximum. */
export function readPageSize(asked: number): number {
  if (asked === 0) return pageSizeDefault;
  if (asked > 0 && asked <= pageSizeMax) return asked;
  throw new GatewayError("invalid-params", `page_size must be from 0 to ${pageSizeMax}`);
}

/** `question` is whatever the token must not outlive: the RPC and its filter. */
export function encodePageToken(question: unknown, position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify([digest(question), ...position])).toString("base64url");
}

/** The position in the token, or undefined for an empty one. `shape` names the type of each part. */
export function decodePageToken(
  question: unknown,
  token: string,
  shape: readonly ("string" | "number")[],
): readonly (string | number)[] | undefined {
  if (token === "") return undefined;
  const [asked, ...position] = parseToken(token);
  const isFine =
    asked === digest(question) &&
    position.length === shape.length &&
    position.every((part, index) => typeof part === shape[index]);
  if (!isFine) return refuseToken();
  return position as readonly (string | number)[];
}

/** One page of `all`, which is sorted by what `keyOf` gives. */
export function paginate<T>(
  all: readonly T[],
  keyOf: (one: T) => string,
  question: unknown,
  request: { readonly page_size: number; readonly page_token: string },
): { readonly page: readonly T[]; readonly nextPageToken: string } {
  const size = readPageSize(request.page_size);
  const after = decodePageToken(question, request.page_token, ["string"])?.[0];
  const rest = after === undefined ? all : all.filter((one) => keyOf(one) > String(after));
  const page = rest.slice(0, size);
  const last = page.at(-1);
  const hasMore = rest.length > page.length && last !== undefined;
  return { page, nextPageToken: hasMore ? encodePageToken(question, [keyOf(last)]) : "" };
}

function parseToken(token: string): readonly unknown[] {
  if (token.length > tokenLengthMax) return refuseToken();
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    return Array.isArray(parsed) ? parsed : refuseToken();
  } catch {
    return refuseToken();
  }
}

function refuseToken(): never {
  throw new GatewayError(
    "invalid-params",
    "page_token is not one that this question was answered with; start without it",
  );
}

function digest(question: unknown): string {
  return createHash("sha256").update(JSON.stringify(question)).digest("base64url").slice(0, 16);
}
