/**
 * An OpenTelemetry collector's logs endpoint on loopback: keeps what came, and answers as it is told.
 */
export interface OtlpCollector extends AsyncDisposable {
  /** The whole URL of its logs endpoint. */
  readonly url: string;
  readonly requests: OtlpRequest[];
  /** The bodies of all log records, in the order they came. */
  bodies(): readonly Record<string, unknown>[];
  /** What it answers; 200 with an empty object unless told. */
  answer: (request: OtlpRequest) => Response;
}

export interface OtlpRequest {
  readonly contentType: string | null;
  readonly authorization: string | null;
  readonly resource: readonly { readonly key: string; readonly value: object }[];
  readonly records: readonly {
    readonly timeUnixNano: string;
    readonly severityText: string;
    readonly body: { readonly stringValue: string };
    readonly attributes: readonly object[];
  }[];
}

export function startOtlpCollector(): OtlpCollector {
  const requests: OtlpRequest[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { resourceLogs } = (await request.json()) as {
        readonly resourceLogs: readonly {
          readonly resource: { readonly attributes: OtlpRequest["resource"] };
          readonly scopeLogs: readonly { readonly logRecords: OtlpRequest["records"] }[];
        }[];
      };
      const received: OtlpRequest = {
        contentType: request.headers.get("content-type"),
        authorization: request.headers.get("authorization"),
        resource: resourceLogs[0]?.resource.attributes ?? [],
        records: resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [],
      };
      const answered = collector.answer(received);
      if (answered.ok) requests.push(received);
      return answered;
    },
  });
  const collector: OtlpCollector = {
    url: `http://127.0.0.1:${server.port}/v1/logs`,
    requests,
    bodies: () =>
      requests.flatMap(({ records }) => records.map(({ body }) => JSON.parse(body.stringValue))),
    answer: () => Response.json({}),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return collector;
}
