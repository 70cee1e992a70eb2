/** `subscriptions/listen` by hand, over an event stream or a socket, message by message. Asserts nothing. */
import { within } from "./deadline.ts";
import { modernPost } from "./modern-agent.ts";
import { openRawWebSocket } from "./raw-websocket.ts";
import { requestText } from "./wires.ts";

export interface ListenerPlace {
  readonly base: string;
  readonly scope: string;
  readonly token: string;
}

export interface Heard {
  readonly method?: string;
  readonly id?: string | number;
  readonly params?: {
    readonly notifications?: Readonly<Record<string, unknown>>;
    readonly uri?: string;
  };
  readonly result?: { readonly resultType?: string };
  readonly error?: { readonly code: number };
}

export interface Listener extends AsyncDisposable {
  /** The next message; undefined where the stream or socket ended, or nothing came in time. */
  next(timeoutMs?: number): Promise<Heard | undefined>;
}

export function openListener(
  transport: "http-modern" | "ws-modern",
  place: ListenerPlace,
  notifications: Readonly<Record<string, unknown>>,
  id: string | number = "listen",
): Promise<Listener> {
  return transport === "http-modern"
    ? overHttp(place, notifications, id)
    : overSocket(place, notifications, id);
}

async function overHttp(
  { base, scope, token }: ListenerPlace,
  notifications: Readonly<Record<string, unknown>>,
  id: string | number,
): Promise<Listener> {
  const leaving = new AbortController();
  const method = "subscriptions/listen";
  const call = { base, scope, token, method, params: { notifications }, id };
  const response = await modernPost({ ...call, signal: leaving.signal });
  const messages = messagesOf(response);
  return listener(
    async () => (await messages.next()).value,
    () => leaving.abort(),
  );
}

async function* messagesOf(response: Response): AsyncGenerator<string, undefined> {
  const type = response.headers.get("content-type");
  if (!type?.startsWith("text/event-stream")) {
    yield await response.text();
    return;
  }
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of response.body ?? []) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data: {")) yield line.slice("data: ".length);
    }
  } catch {
    // The reader left, or the stream was cut: either way it is over.
  }
}

async function overSocket(
  { base, scope, token }: ListenerPlace,
  notifications: Readonly<Record<string, unknown>>,
  id: string | number,
): Promise<Listener> {
  const upgrade = await openRawWebSocket({
    base,
    path: `/${scope}/ws`,
    headers: { Authorization: `Bearer ${token}` },
  });
  if ("refusal" in upgrade) throw new Error(`refused: ${upgrade.refusal.body}`);
  const { webSocket } = upgrade;
  webSocket.sendText(requestText("modern", "subscriptions/listen", { notifications }, id));
  return listener(
    async () => {
      const next = await webSocket.next();
      return typeof next === "string" ? next : undefined;
    },
    () => webSocket[Symbol.dispose](),
  );
}

/** A message that was waited for in vain is the next one's. */
function listener(take: () => Promise<string | undefined>, leave: () => void): Listener {
  let pending: Promise<string | undefined> | undefined;
  return {
    async next(timeoutMs = 5_000) {
      pending ??= take();
      const text = await within("a message", pending, timeoutMs).catch(() => null);
      if (text === null) return undefined;
      pending = undefined;
      return text === undefined ? undefined : (JSON.parse(text) as Heard);
    },
    [Symbol.asyncDispose]: async () => leave(),
  };
}
