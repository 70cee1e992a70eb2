/**
 * The `text/event-stream` format (WHATWG HTML, section 9.2), both ways: rendering one event, and an incremental
 * parser that takes chunks cut anywhere. The parser is bounded: a line or an event over its limit is an error.
 */
export interface ServerSentEvent {
  /** `message` where the stream names none. */
  readonly type: string;
  readonly text: string;
  /** Last event id seen on the stream so far; undefined before the first. */
  readonly id: string | undefined;
}

export class EventStreamError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "EventStreamError";
  }
}

export interface EventParser {
  /** Feeds decoded text. Throws EventStreamError past the bound; the parser is then of no further use. */
  push(chunk: string): void;
}

/** One event as text. `text` may hold line breaks; each becomes its own `data:` line. */
export function renderEvent(event: {
  readonly type?: string;
  readonly id?: string;
  /** How long a reader who loses the stream waits before it comes back. */
  readonly retryMs?: number;
  readonly text: string;
}): string {
  const head =
    (event.type === undefined ? "" : `event: ${event.type}\n`) +
    (event.id === undefined ? "" : `id: ${event.id}\n`) +
    (event.retryMs === undefined ? "" : `retry: ${event.retryMs}\n`);
  const body = /[\r\n]/.test(event.text)
    ? event.text.split(/\r\n|\r|\n/).join("\ndata: ")
    : event.text;
  return `${head}data: ${body}\n\n`;
}

/** Tells the reader how long to wait before it connects again; no event by itself. */
export function renderRetry(retryMs: number): string {
  return `retry: ${retryMs}\n\n`;
}

/** A comment, which clients ignore: keeps idle connections from being cut. */
export const keepAliveComment = ": keep-alive\n\n";

export function createEventParser(options: {
  /** Longest line, and longest collected event text, in UTF-16 units. */
  readonly lineBytesMax: number;
  readonly onEvent: (event: ServerSentEvent) => void;
  readonly onRetry?: (retryMs: number) => void;
}): EventParser {
  // Chunks of a line that has not ended yet: joined once, so a long line costs linear time.
  let pending: string[] = [];
  let pendingChars = 0;
  let isStart = true;
  // The last chunk ended in a CR, which ended its line; a LF that comes next belongs to it.
  let skipsFeed = false;
  let type = "";
  let lines: string[] = [];
  let collected = 0;
  let id: string | undefined;

  function needWithin(chars: number): void {
    if (chars > options.lineBytesMax) throw new EventStreamError("line longer than the limit");
  }

  function takeLine(line: string): void {
    needWithin(line.length);
    if (line === "") {
      dispatchEvent();
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const raw = colon === -1 ? "" : line.slice(colon + 1);
    takeField(field, raw.startsWith(" ") ? raw.slice(1) : raw);
  }

  function takeField(field: string, value: string): void {
    if (field === "data") {
      lines.push(value);
      collected += value.length;
      if (collected > options.lineBytesMax)
        throw new EventStreamError("event longer than the limit");
    } else if (field === "event") type = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^[0-9]{1,9}$/.test(value)) options.onRetry?.(Number(value));
  }

  function dispatchEvent(): void {
    const event = { type: type === "" ? "message" : type, text: lines.join("\n"), id };
    const isEmpty = lines.length === 0;
    type = "";
    lines = [];
    collected = 0;
    if (!isEmpty) options.onEvent(event);
  }

  /** Takes every whole line of the text and returns what is left over. */
  function takeLines(whole: string): string {
    const text = isStart && whole.charCodeAt(0) === 0xfeff ? whole.slice(1) : whole;
    isStart = false;
    let from = 0;
    for (;;) {
      const at = nextBreak(text, from);
      if (at === -1) return text.slice(from);
      takeLine(text.slice(from, at));
      skipsFeed = text[at] === "\r" && at + 1 === text.length;
      from = text[at] === "\r" && text[at + 1] === "\n" ? at + 2 : at + 1;
    }
  }

  return {
    push(received) {
      if (received === "") return;
      const chunk = skipsFeed && received.startsWith("\n") ? received.slice(1) : received;
      skipsFeed = false;
      pendingChars += chunk.length;
      pending.push(chunk);
      if (nextBreak(chunk, 0) !== -1) {
        const rest = takeLines(pending.join(""));
        pending = rest === "" ? [] : [rest];
        pendingChars = rest.length;
      }
      needWithin(pendingChars);
    },
  };
}

function nextBreak(text: string, from: number): number {
  const feed = text.indexOf("\n", from);
  const back = text.indexOf("\r", from);
  if (feed === -1) return back;
  return back === -1 ? feed : Math.min(feed, back);
}
