/**
 * RFC 5424 messages, and how they are framed on a stream (octet counting, RFC 6587 3.4.1 and RFC 5425). Pure.
 */
import type { SinkLevel, SinkLine } from "./sink.ts";

export interface SyslogOrigin {
  readonly facility: number;
  readonly hostname: string;
  readonly processId: number;
}

const severityOf: Readonly<Record<SinkLevel, number>> = { error: 3, warn: 4, info: 6 };

/** The line in ASCII: a receiver needs neither a byte order mark nor a guess at the encoding. */
export function renderSyslog(line: SinkLine, text: string, origin: SyslogOrigin): string {
  const priority = origin.facility * 8 + severityOf[line.level];
  const time = new Date(line.timeMs).toISOString();
  const messageId = printable(line.eventType, 32);
  const head = `<${priority}>1 ${time} ${printable(origin.hostname, 255)} mcp-gateway`;
  return `${head} ${origin.processId} ${messageId} - ${toAscii(text)}`;
}

export function frameOctets(message: string): string {
  return `${Buffer.byteLength(message)} ${message}`;
}

function printable(text: string, max: number): string {
  const kept = text.replace(/[^\x21-\x7e]/g, "").slice(0, max);
  return kept === "" ? "-" : kept;
}

/** Non-ASCII stands in strings of the JSON only, where an escape means the same. */
function toAscii(json: string): string {
  return json.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
