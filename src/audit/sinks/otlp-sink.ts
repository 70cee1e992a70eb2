/**
 * Lines to an OpenTelemetry collector: OTLP logs over HTTP with JSON. The collector's answer is an acknowledgement;
 * what it will never take is refused (and then said as a gap), everything else is tried again.
 */
import { version } from "../../lib/version.ts";
import type { Post } from "../post.ts";
import { type Sink, SinkBusy, type SinkLevel, type SinkLine, SinkRefusal } from "./sink.ts";

export interface OtlpSinkOptions {
  readonly url: string;
  readonly logId: string;
  readonly resource: Readonly<Record<string, string>>;
  /** What the collector wants besides, such as a credential; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

const severityOf: Readonly<Record<SinkLevel, readonly [number, string]>> = {
  info: [9, "INFO"],
  warn: [13, "WARN"],
  error: [17, "ERROR"],
};
const answerBytesMax = 64 * 1024;

export function createOtlpSink(options: OtlpSinkOptions, post: Post): Sink {
  const resource = {
    attributes: toAttributes({
      "service.name": "mcp-gateway",
      "service.version": version,
      "service.instance.id": options.logId,
      ...options.resource,
    }),
  };
  return {
    isAcknowledged: true,
    async write(lines) {
      const logRecords = lines.map(renderRecord);
      const scope = { name: "mcp_gateway.audit", version };
      const body = JSON.stringify({
        resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords }] }],
      });
      const { status, headers, text } = await post(options.url, {
        method: "POST",
        headers: {
          ...options.headers,
          "content-type": "application/json",
          accept: "application/json",
        },
        body,
        timeoutMs: options.timeoutMs,
        bytesMax: answerBytesMax,
      });
      judge(status, headers.get("retry-after"), text);
    },
    settle: async () => {},
    close: async () => {},
  };
}

function renderRecord(line: SinkLine): object {
  const [severityNumber, severityText] = severityOf[line.level];
  const timeUnixNano = `${line.timeMs}000000`;
  return {
    timeUnixNano,
    observedTimeUnixNano: timeUnixNano,
    severityNumber,
    severityText,
    body: { stringValue: line.text },
    attributes: toAttributes({ "event.name": `mcp_gateway.${line.eventType}` }),
  };
}

function toAttributes(values: Readonly<Record<string, string>>): readonly object[] {
  return Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
}

/** Throws unless the collector has them all. */
function judge(status: number, retryAfter: string | undefined, text: string): void {
  if (status === 400 || status === 413) throw new SinkRefusal(`the collector refused: ${status}`);
  const isBusy = status === 429 || status === 503;
  if (isBusy && /^\d{1,6}$/.test(retryAfter ?? "")) {
    throw new SinkBusy(`the collector is busy: ${status}`, Number(retryAfter) * 1000);
  }
  if (status < 200 || status > 299) throw new Error(`the collector answered ${status}`);
  const rejected = countRejected(text);
  if (rejected > 0) throw new SinkRefusal(`the collector left out ${rejected} records`);
}

function countRejected(text: string): number {
  try {
    const { partialSuccess } = JSON.parse(text) as {
      readonly partialSuccess?: { readonly rejectedLogRecords?: unknown };
    };
    return Number(partialSuccess?.rejectedLogRecords ?? 0) || 0;
  } catch {
    return 0;
  }
}
