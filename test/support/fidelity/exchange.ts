/**
 * One random exchange through the gateway: a request, the notifications its server sends, the answer; each as source
 * text whose every byte is known. `judge.ts` says which of the bytes may differ on the other side. Seeded.
 */
import { type JsonTexts, type MemberText, type ObjectTexts, renderObject } from "./json-texts.ts";

export type Era = "legacy" | "modern";

export const exchangedMethods = [
  "tools/call",
  "prompts/get",
  "resources/read",
  "completion/complete",
  "tools/list",
] as const;
export type ExchangedMethod = (typeof exchangedMethods)[number];

/** Where an exchange goes: which era speaks on each side, over what, and whether names carry the server's prefix. */
export interface Way {
  readonly agentEra: Era;
  readonly server: string;
  readonly serverEra: Era;
  readonly isPrefixed: boolean;
  /** Log messages reach a call only where its stream says whose they are. */
  readonly hasOwnStream: boolean;
}

export interface SentNotification {
  readonly method: "notifications/progress" | "notifications/message";
  readonly params: ObjectTexts;
}

/** As the server says it, and as the agent must see it once secrets are masked. */
export interface ServerAnswer {
  readonly kind: "result" | "error";
  readonly said: ObjectTexts;
  readonly masked: ObjectTexts;
  /** The members of the result's `_meta`, where it has one. */
  readonly meta: readonly MemberText[] | undefined;
}

export interface Exchange {
  readonly number: number;
  readonly way: Way;
  readonly method: ExchangedMethod;
  /** Source text of the JSON-RPC id. */
  readonly idText: string;
  readonly params: ObjectTexts;
  /** The members of `_meta` that are nobody's but the peers'; undefined where there is no `_meta`. */
  readonly vendorMeta: readonly MemberText[] | undefined;
  readonly clientInfoText: string | undefined;
  /** The agent's own name for the target, as it stands in `params`, and the server's. */
  readonly tokenText: string | undefined;
  readonly notifications: readonly SentNotification[];
  readonly answer: ServerAnswer;
}

export const metaPrefix = "io.modelcontextprotocol/";
export const toolName = "echo-it";
export const promptName = "a.prompt";
export const maskText = '"[redacted]"';

/** Found in every message of an exchange: in the request for the server, in notifications for the agent. */
export const marker = (number: number) => `"fid-${number}-"`;
export function markedNumber(text: string): number | undefined {
  const found = /fid-(\d+)-/.exec(text);
  return found === null ? undefined : Number(found[1]);
}

export function createExchange(texts: JsonTexts, number: number, way: Way): Exchange {
  const { random } = texts;
  const method = chooseMethod(texts, way);
  const tokenText = random(3) === 0 ? uniqueId(texts, number) : undefined;
  const clientInfoText = way.agentEra === "modern" ? createClientInfo(texts) : undefined;
  const meta = createMeta(texts, way, tokenText, clientInfoText);
  const members = [...paramsMembers(texts, way, method, number)];
  if (random(4) === 0) members.push(texts.member("vendor.example/extra", texts.value(3)));
  if (meta !== undefined) {
    members.splice(random(members.length + 1), 0, texts.member("_meta", renderObject(meta)));
  }
  return {
    number,
    way,
    method,
    idText: uniqueId(texts, number),
    params: { members, empty: "" },
    vendorMeta: meta?.members.filter(({ key }) => !isReserved(JSON.parse(key))),
    clientInfoText,
    tokenText,
    notifications: createNotifications(texts, way, number, tokenText !== undefined),
    answer: random(12) === 0 ? createError(texts) : createResult(texts, way, method),
  };
}

export function isReserved(name: string): boolean {
  return name === "progressToken" || name.startsWith(metaPrefix);
}

function chooseMethod(texts: JsonTexts, way: Way): ExchangedMethod {
  if (texts.random(3) > 0) return "tools/call";
  const method = texts.pick(exchangedMethods);
  // Joined lists and resources' owners are about more than bytes; `route/merge` has its own tests.
  const isOfOneServer = method === "tools/list" || method === "resources/read";
  return way.isPrefixed && isOfOneServer ? "prompts/get" : method;
}

/** Unlike any other in flight: big integers beyond what a double holds, and strings in several spellings. */
function uniqueId({ random }: JsonTexts, number: number): string {
  switch (random(5)) {
    case 0:
      return `90071992547409930000${number}`;
    case 1:
      return `-${number + 1}`;
    case 2:
      return `"\\u0069d \u{1f600}\\/${number}"`;
    case 3:
      return `"${number}"`;
    default:
      return `${number + 1}`;
  }
}

function createClientInfo(texts: JsonTexts): string {
  const members = [texts.member("name", texts.string()), texts.member("version", '"1\\u002e0"')];
  return renderObject({ members: [...members, ...texts.members(0, 0)], empty: "" });
}

function createMeta(
  texts: JsonTexts,
  way: Way,
  tokenText: string | undefined,
  clientInfoText: string | undefined,
): ObjectTexts | undefined {
  const { random, member } = texts;
  const members: MemberText[] = [];
  if (way.agentEra === "modern") {
    members.push(member(`${metaPrefix}protocolVersion`, '"2026-07-28"'));
    members.push(member(`${metaPrefix}clientCapabilities`, `{${texts.space()}}`));
    members.push(member(`${metaPrefix}clientInfo`, clientInfoText ?? "{}"));
    members.push(member(`${metaPrefix}logLevel`, '"debug"'));
  }
  if (tokenText !== undefined) members.push(member("progressToken", tokenText));
  if (members.length === 0 && random(2) === 0) return undefined;
  for (const vendor of texts.members(random(4), 3)) {
    members.splice(random(members.length + 1), 0, vendor);
  }
  return { members, empty: texts.space() };
}

function paramsMembers(
  texts: JsonTexts,
  way: Way,
  method: ExchangedMethod,
  number: number,
): readonly MemberText[] {
  const { member, random } = texts;
  const own = (name: string) => (way.isPrefixed ? `"${way.server}__${name}"` : `"${name}"`);
  const odd = () => texts.members(random(6), 4);
  const marked = member("marker", marker(number));
  switch (method) {
    case "tools/call":
      return shuffled(texts, [
        member("name", own(toolName)),
        member("arguments", renderObject({ members: [...odd(), marked], empty: "" })),
      ]);
    case "prompts/get":
      return shuffled(texts, [
        member("name", own(promptName)),
        member(
          "arguments",
          renderObject({ members: [member("a\u0300", texts.string()), marked], empty: "" }),
        ),
      ]);
    case "resources/read":
      return [member("uri", `"note:\\/\\/\\/fid-${number}-"`)];
    case "completion/complete": {
      const ref = [member("type", '"ref/prompt"'), member("name", own(promptName))];
      const argument = [member("name", '"a"'), member("value", marker(number))];
      return shuffled(texts, [
        member("ref", renderObject({ members: [...ref, ...odd()], empty: "" })),
        member("argument", renderObject({ members: argument, empty: "" })),
      ]);
    }
    case "tools/list":
      return [member("cursor", marker(number))];
    default:
      return method satisfies never;
  }
}

function shuffled<T>({ random }: JsonTexts, two: readonly [T, T]): readonly T[] {
  return random(2) === 0 ? two : [two[1], two[0]];
}

function createNotifications(
  texts: JsonTexts,
  way: Way,
  number: number,
  isProgressWanted: boolean,
): readonly SentNotification[] {
  const { random, member } = texts;
  const sent: SentNotification[] = [];
  // A twin of a protocol name is refused beside it (PR-03), so it only ever lies deeper.
  const odd = () => texts.members(random(4), 3).filter(({ key }) => JSON.parse(key) !== "NAME");
  for (let left = isProgressWanted ? 1 + random(3) : 0; left > 0; left -= 1) {
    // The token is the server's to fill in: it is told one by the gateway.
    const members = [
      member("progressToken", "null"),
      member("progress", `${10 - left}.0`),
      member("message", marker(number)),
      ...odd(),
    ];
    sent.push({ method: "notifications/progress", params: { members, empty: "" } });
  }
  if (way.hasOwnStream && random(6) === 0) {
    const members = [
      member("level", '"error"'),
      member("logger", marker(number)),
      member("data", texts.value(4)),
      ...odd(),
    ];
    sent.push({ method: "notifications/message", params: { members, empty: "" } });
  }
  return sent;
}

function createError(texts: JsonTexts): ServerAnswer {
  const { member, random } = texts;
  const members = [
    member("code", texts.pick(["1", "4711", "-31999", "-1"])),
    member("message", texts.string()),
    ...(random(2) === 0 ? [member("data", texts.value(4))] : []),
    ...(random(3) === 0 ? [member("vendor.example/more", texts.value(2))] : []),
  ];
  const said = { members, empty: "" };
  return { kind: "error", said, masked: said, meta: undefined };
}

function createResult(texts: JsonTexts, way: Way, method: ExchangedMethod): ServerAnswer {
  const { member, random } = texts;
  const said: MemberText[] = [...texts.members(random(3), 3)];
  const insert = (one: MemberText) => void said.splice(random(said.length + 1), 0, one);
  for (const one of bodyMembers(texts, method)) insert(one);
  const vendorMeta = [...texts.members(random(3), 2)];
  if (way.serverEra === "modern") {
    if (random(3) > 0) insert(member("resultType", '"complete"'));
    if (isCacheable(method)) {
      insert(member("ttlMs", "0"));
      insert(member("cacheScope", '"private"'));
    }
    if (random(2) === 0) {
      const info = member(`${metaPrefix}serverInfo`, '{"name" : "s\\u0065rver","version":"1"}');
      vendorMeta.splice(random(vendorMeta.length + 1), 0, info);
    }
  }
  const meta = vendorMeta.length > 0 || random(5) === 0 ? vendorMeta : undefined;
  if (meta !== undefined) {
    insert(member("_meta", renderObject({ members: meta, empty: texts.space() })));
  }
  return { ...withSecret(texts, method, said), kind: "result", meta };
}

export function isCacheable(method: ExchangedMethod): boolean {
  return method === "resources/read" || method === "tools/list";
}

/** Now and then a result holds a secret: in structured content, or in JSON that lies in text. */
function withSecret(
  texts: JsonTexts,
  method: ExchangedMethod,
  members: readonly MemberText[],
): Pick<ServerAnswer, "said" | "masked"> {
  const { member, random } = texts;
  const plain = { members, empty: "" };
  if (method !== "tools/call" || random(4) > 0) {
    return { said: plain, masked: plain };
  }
  const secret = member(texts.pick(["password", "apiKey", "client_secret"]), texts.string());
  const inner: ObjectTexts = { members: [...texts.members(random(4), 3), secret], empty: "" };
  const name = JSON.parse(secret.key) as string;
  const masked = renderObject(inner, { [name]: maskText });
  const isEmbedded = random(2) === 0;
  const holder = isEmbedded
    ? member("vendor.example/text", JSON.stringify(renderObject(inner)))
    : member("structuredContent", renderObject(inner));
  const cleaned = { ...holder, value: isEmbedded ? JSON.stringify(masked) : masked };
  const at = random(members.length + 1);
  return {
    said: { members: members.toSpliced(at, 0, holder), empty: "" },
    masked: { members: members.toSpliced(at, 0, cleaned), empty: "" },
  };
}

function bodyMembers(texts: JsonTexts, method: ExchangedMethod): readonly MemberText[] {
  const { member, random, string } = texts;
  const odd = () => texts.members(random(4), 3);
  const textBlock = () => {
    const members = [member("type", '"text"'), member("text", string()), ...odd()];
    return renderObject({ members, empty: "" });
  };
  const list = (elements: readonly string[]) =>
    `[${texts.space()}${elements.join(`${texts.space()},${texts.space()}`)}${texts.space()}]`;
  switch (method) {
    case "tools/call":
      return [
        member("content", list(Array.from({ length: random(3) }, textBlock))),
        ...(random(3) === 0 ? [member("isError", "true")] : []),
      ];
    case "prompts/get": {
      const message = [member("role", '"user"'), member("content", textBlock()), ...odd()];
      return [member("messages", list([renderObject({ members: message, empty: "" })]))];
    }
    case "resources/read": {
      const content = [member("uri", '"note:///x"'), member("text", string()), ...odd()];
      return [member("contents", list([renderObject({ members: content, empty: "" })]))];
    }
    case "completion/complete":
      return [member("completion", `{ "values" : ${list([string(), string()])} , "total":2.0}`)];
    case "tools/list": {
      const tool = [
        member("name", '"echo\\u002dit"'),
        member("inputSchema", '{"type":"object","multipleOf":1e400}'),
        ...odd(),
      ];
      return [
        member("tools", list([renderObject({ members: tool, empty: "" })])),
        member("nextCursor", string()),
      ];
    }
    default:
      return method satisfies never;
  }
}
