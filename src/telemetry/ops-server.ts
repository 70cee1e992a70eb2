/**
 * Health and metrics over plain HTTP, on a listener of its own that agents do not reach: GET and HEAD, no credentials,
 * nothing personal. What may be posted besides is given to it (a witness's one request). `compose/` starts it.
 */
import type { Health, HealthReport } from "./health.ts";
import type { CounterName, Metrics } from "./metrics.ts";

export interface OpsServerOptions {
  readonly host: string;
  /** 0 asks for a free port. */
  readonly port: number;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly version: string;
  /** Texts that can be read, by path. */
  readonly texts?: Readonly<Record<string, string>>;
  /** What can be posted, by path. */
  readonly posts?: Readonly<Record<string, OpsPost>>;
}

export type OpsPost = (
  body: string,
) => Promise<{ readonly status: number; readonly contentType: string; readonly text: string }>;

export interface OpsServer {
  /** `http://host:port` as really bound. */
  readonly url: string;
  /** Stops listening and ends open connections. */
  close(): Promise<void>;
}

/** What /metrics/security sums up (O04), by its name there. */
const securityCounters = {
  failed_authentications: "mcp_gateway_auth_failures_total",
  policy_denials: "mcp_gateway_policy_denials_total",
  rate_limited: "mcp_gateway_rate_limited_total",
  rejected_messages: "mcp_gateway_rejected_total",
  redactions: "mcp_gateway_redactions_total",
  cache_binding_failures: "mcp_gateway_cache_binding_failures_total",
  audit_failures: "mcp_gateway_audit_failures_total",
  audit_dropped: "mcp_gateway_audit_dropped_total",
  slow_consumers: "mcp_gateway_slow_consumers_total",
} as const satisfies Record<string, CounterName>;

const bodyBytesMax = 1024;
const postBytesMax = 64 * 1024;

type Answer = () => Response | Promise<Response>;

export function createOpsServer(options: OpsServerOptions): OpsServer {
  const answers = createAnswers(options);
  const posts = new Map(Object.entries(options.posts ?? {}));
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    idleTimeout: 30,
    maxRequestBodySize: posts.size === 0 ? bodyBytesMax : postBytesMax,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      const post = posts.get(pathname);
      if (post !== undefined) return await answerPost(request, post);
      const answer = answers[pathname];
      if (answer === undefined) return renderJson({ error: "not found; see /" }, 404);
      if (request.method !== "GET" && request.method !== "HEAD") {
        return renderJson({ error: "only GET and HEAD" }, 405, { Allow: "GET, HEAD" });
      }
      return await answer();
    },
    error: () => renderJson({ error: "internal" }, 500),
  });
  return {
    url: server.url.origin,
    close: async () => {
      await server.stop(true);
    },
  };
}

async function answerPost(request: Request, post: OpsPost): Promise<Response> {
  if (request.method !== "POST") return renderJson({ error: "only POST" }, 405, { Allow: "POST" });
  const { status, contentType, text } = await post(await request.text());
  return new Response(text, { status, headers: { ...commonHeaders, "Content-Type": contentType } });
}

function createAnswers({
  health,
  metrics,
  version,
  texts = {},
}: OpsServerOptions): Readonly<Record<string, Answer | undefined>> {
  const prometheus: Answer = async () =>
    new Response(await metrics.render(), {
      headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", ...commonHeaders },
    });
  const detailed: Answer = async () => {
    const report = await health.report();
    return renderJson({ version, ...renderReport(report) }, report.ready ? 200 : 503);
  };
  const answers: Record<string, Answer> = {
    "/health/live": () => renderJson({ status: "live", version }),
    "/health/ready": async () => {
      const { ready, draining } = await health.report();
      const status = ready ? "ready" : draining ? "draining" : "not ready";
      return renderJson({ status }, ready ? 200 : 503);
    },
    "/health/detailed": detailed,
    "/health": detailed,
    "/metrics": prometheus,
    "/metrics/prometheus": prometheus,
    "/metrics/security": async () => renderJson(await sumSecurity(metrics)),
  };
  for (const [path, text] of Object.entries(texts)) answers[path] = () => renderText(text);
  const endpoints = Object.keys(answers);
  answers["/"] = () => renderJson({ name: "mcp-gateway", version, endpoints });
  return Object.assign(Object.create(null), answers);
}

function renderReport(report: HealthReport): object {
  return {
    status: report.ready ? "ready" : report.draining ? "draining" : "not ready",
    uptime_seconds: report.uptimeSeconds,
    checks: report.checks.map((check) => ({
      name: check.name,
      status: check.ok ? "ok" : "failed",
      required: check.required,
      latency_ms: check.latencyMs,
      ...(check.detail === undefined ? {} : { detail: check.detail }),
    })),
  };
}

async function sumSecurity(metrics: Metrics): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const [name, counter] of Object.entries(securityCounters)) {
    sums[name] = await metrics.total(counter);
  }
  return sums;
}

const commonHeaders = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

function renderText(text: string): Response {
  const headers = { "Content-Type": "text/plain; charset=utf-8", ...commonHeaders };
  return new Response(text, { headers });
}

function renderJson(body: object, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { ...commonHeaders, ...headers } });
}
