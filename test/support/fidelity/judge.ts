/**
 * What must be the same on the other side of the gateway, and what may differ: the target's name, `_meta`'s envelope
 * and progress token, the members one era has and the other does not, masked values. Everything else is compared byte
 * for byte. Returns the first difference in words, or undefined.
 */
import {
  type Exchange,
  isCacheable,
  metaPrefix,
  promptName,
  type SentNotification,
  toolName,
} from "./exchange.ts";
import { type MemberText, type ObjectTexts, renderObject } from "./json-texts.ts";

/** Cannot occur in JSON text, where control characters are escaped. */
const hole = "\u0001";
const serverInfoKey = `${metaPrefix}serverInfo`;
const modernOnly = new Set(["resultType", "ttlMs", "cacheScope"]);

/** The params a server received. */
export function judgeParams(exchange: Exchange, received: string | undefined): string | undefined {
  const { way, params, method, vendorMeta } = exchange;
  const names = {
    ...(method === "tools/call" ? { name: JSON.stringify(toolName) } : {}),
    ...(method === "prompts/get" ? { name: JSON.stringify(promptName) } : {}),
    ...(method === "completion/complete" ? { ref: ownRef(params) } : {}),
  };
  const replaced: Record<string, string> = way.isPrefixed ? names : {};
  const wanted = renderObject(params, { ...replaced, _meta: hole });
  if (vendorMeta !== undefined)
    return matchHole(wanted, received, (meta) => judgeMeta(exchange, meta));
  // Nothing to add for a server of the older era: the very same bytes.
  if (way.serverEra === "legacy") return same("params", wanted, received);
  const added = `{"_meta":${hole},${wanted.slice(1)}`;
  return matchHole(added, received, (meta) => judgeMeta(exchange, meta));
}

/** The completion's reference under its server's own name. */
function ownRef(params: ObjectTexts): string {
  const ref = params.members.find(({ key }) => nameOf(key) === "ref")?.value ?? "";
  return ref.replace(/"[a-z-]+__a\.prompt"/, JSON.stringify(promptName));
}

function judgeMeta(exchange: Exchange, received: string): string | undefined {
  const { way, vendorMeta = [], tokenText, clientInfoText } = exchange;
  const vendor = joined(vendorMeta);
  if (!received.endsWith(`${vendor}}`)) return difference("vendor keys of _meta", vendor, received);
  const rest = received.slice(0, received.length - vendor.length - 1).replace(/,$/, "");
  const own = JSON.parse(`${rest}}`) as Record<string, unknown>;
  const wanted = [
    ...(way.serverEra === "legacy" ? [] : ["protocolVersion", "clientInfo", "clientCapabilities"]),
    ...(way.serverEra === "legacy" ? [] : ["logLevel"]),
  ].map((key) => metaPrefix + key);
  if (tokenText !== undefined) wanted.push("progressToken");
  const problem = same("keys of _meta", wanted.sort().join(), Object.keys(own).sort().join());
  if (problem !== undefined || way.serverEra === "legacy" || clientInfoText === undefined) {
    return problem;
  }
  const info = `"${metaPrefix}clientInfo":${clientInfoText}`;
  return rest.includes(info) ? undefined : difference("clientInfo", info, rest);
}

/** The whole answer an agent received. */
export function judgeAnswer(exchange: Exchange, received: string): string | undefined {
  const { answer, idText, way } = exchange;
  const head = `{"jsonrpc":"2.0","id":${idText},"${answer.kind}":`;
  if (!received.startsWith(head)) return difference("answer", head, received);
  const body = received.slice(head.length, -1);
  if (answer.kind === "error") return same("error", renderObject(answer.masked), body);
  return way.agentEra === "modern" ? judgeModern(exchange, body) : judgeLegacy(exchange, body);
}

/** What the modern revision demands and the server left out stands at the front; `_meta` names the server. */
function judgeModern({ answer, method }: Exchange, body: string): string | undefined {
  const names = answer.masked.members.map(({ key }) => nameOf(key));
  const wanted = [
    "resultType",
    ...(isCacheable(method) ? ["ttlMs", "cacheScope"] : []),
    "_meta",
  ].filter((name) => !names.includes(name));
  const text = renderObject(answer.masked, { _meta: hole }).slice(1);
  const [before = "", after] = text.split(hole);
  const at = after === undefined ? body.length - text.length : body.indexOf(before, 1);
  const front = body.slice(1, at).replace(/,$/, "");
  const added = JSON.parse(`{${front}}`) as Record<string, unknown>;
  const problem = same("added members", wanted.join(), Object.keys(added).join());
  if (problem !== undefined) return problem;
  return matchHole(text, body.slice(at), (meta) => judgeServerMeta(answer.masked, meta));
}

function judgeServerMeta(result: ObjectTexts, received: string): string | undefined {
  const source = result.members.find(({ key }) => nameOf(key) === "_meta")?.value ?? "";
  const names = Object.keys(JSON.parse(source));
  if (names.includes(serverInfoKey)) return same("_meta", source, received);
  const kept = source.slice(0, source.lastIndexOf("}")).trimEnd();
  if (!received.startsWith(kept)) return difference("_meta", kept, received);
  const all = Object.keys(JSON.parse(received)).sort().join();
  return same("keys of _meta", [...names, serverInfoKey].sort().join(), all);
}

/** What the older revisions do not know is gone; of the rest every member stands as it was. */
function judgeLegacy({ answer }: Exchange, body: string): string | undefined {
  const { masked, meta } = answer;
  const namesServer = meta?.some(({ key }) => nameOf(key) === serverInfoKey) ?? false;
  const isDropped = (name: string) =>
    modernOnly.has(name) || (name === "_meta" && namesServer && meta?.length === 1);
  const dropsAny = masked.members.some(({ key }) => isDropped(nameOf(key)));
  if (!namesServer && !dropsAny) return same("result", renderObject(masked), body);
  let at = 1;
  for (const { key, colon, value } of masked.members) {
    const name = nameOf(key);
    if (isDropped(name)) continue;
    at = skipJoint(body, at);
    const isCut = name === "_meta" && namesServer;
    const text = key + colon + (isCut ? "{" : value);
    if (!body.startsWith(text, at)) return difference("member", text, body.slice(at));
    at += text.length;
    if (!isCut) continue;
    for (const vendor of meta ?? []) {
      if (nameOf(vendor.key) === serverInfoKey) continue;
      at = skipJoint(body, at);
      const kept = vendor.key + vendor.colon + vendor.value;
      if (!body.startsWith(kept, at)) return difference("member", kept, body.slice(at));
      at += kept.length;
    }
    at = skipJoint(body, at) + 1;
  }
  return same("end of result", "}", body.slice(skipJoint(body, at)));
}

function nameOf(key: string): string {
  return JSON.parse(key) as string;
}

/** A notification an agent received, whole. */
export function judgeNotification(
  { tokenText = "" }: Exchange,
  sent: SentNotification,
  received: string | undefined,
): string | undefined {
  const replaced: Record<string, string> =
    sent.method === "notifications/progress" ? { progressToken: tokenText } : {};
  const params = renderObject(sent.params, replaced);
  const wanted = `{"jsonrpc":"2.0","method":"${sent.method}","params":${params}}`;
  return same("notification", wanted, received);
}

function joined(members: readonly MemberText[]): string {
  return members.map(({ key, colon, value }) => key + colon + value).join(",");
}

function skipJoint(text: string, from: number): number {
  let at = from;
  while (" \t\r\n,".includes(text.charAt(at)) && at < text.length) at += 1;
  return at;
}

/** Everything around the hole is equal, and `judge` says what it holds. */
function matchHole(
  wanted: string,
  received: string | undefined,
  judge: (inside: string) => string | undefined,
): string | undefined {
  const [before = "", after] = wanted.split(hole);
  if (after === undefined) return same("text", wanted, received);
  const isAround = received?.startsWith(before) && received.endsWith(after);
  if (received === undefined || !isAround) return difference("text", wanted, received);
  return judge(received.slice(before.length, received.length - after.length));
}

function same(what: string, wanted: string, received: string | undefined): string | undefined {
  return wanted === received ? undefined : difference(what, wanted, received);
}

function difference(what: string, wanted: string, received: string | undefined): string {
  let at = 0;
  while (received !== undefined && at < wanted.length && wanted[at] === received[at]) at += 1;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 60), at + 120));
  return `${what} differs at ${at}\n  wanted ${around(wanted)}\n  got    ${around(received ?? "nothing")}`;
}
