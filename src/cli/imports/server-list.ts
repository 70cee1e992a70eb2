/**
 * Lists of MCP servers by name: other gateways' `servers` and `mcp_servers` (requirements 19.4), and the `mcpServers`
 * of desktop clients. An entry has a command or a URL.
 */
import {
  entriesOf,
  flagOf,
  leaveOthersOut,
  numberOf,
  type Section,
  textMapOf,
  textOf,
  textsOf,
} from "./fields.ts";
import { type PlanBuilder, refuseFile } from "./plan.ts";

export interface ServerListOptions {
  /** Servers may be on this machine or in private ranges, and on plain http. */
  readonly allowPrivateNetwork: boolean;
}

export const listKeys = ["mcpServers", "mcp_servers", "servers"] as const;

/** Where the other settings of such a file have their place in this gateway's configuration. */
const elsewhere: Readonly<Record<string, string>> = {
  server: "agents.host, agents.port and log.level of the configuration",
  security: "identity.* of the configuration, and each client's registration; no secret was read",
  logging: "log.level of the configuration, and retention rules",
  rate_limiting: "limits.* of the configuration",
  monitoring: "the ops listener, which is always there (ops.*)",
  cors: "agents.allowed_origins, and each client's allowed_origins",
};

export function translateServerList(
  plan: PlanBuilder,
  file: Section,
  options: ServerListOptions,
): void {
  const key = listKeys.find((one) => Object.hasOwn(file, one)) ?? "servers";
  for (const [name, where] of Object.entries(elsewhere)) {
    if (Object.hasOwn(file, name)) plan.leftOut(name, `its place is ${where}`);
  }
  leaveOthersOut(plan, file, [key, ...Object.keys(elsewhere)], "");
  for (const [name, entry, where] of entriesOf(file[key], key)) {
    addServer(plan, name, entry, where, options);
  }
}

const known = [
  ...["url", "type", "timeout", "enabled", "description", "command", "args", "env", "cwd"],
  ...["max_connections", "headers", "disabled"],
];

function addServer(
  plan: PlanBuilder,
  given: string,
  entry: Section,
  where: string,
  { allowPrivateNetwork }: ServerListOptions,
): void {
  leaveOthersOut(plan, entry, known, where);
  const name = plan.nameOf(given, where);
  const timeout = numberOf(entry.timeout, `${where}.timeout`);
  const places = numberOf(entry.max_connections, `${where}.max_connections`);
  if (places !== undefined) {
    plan.changed(`${where}.max_connections`, "counts calls at once, not connections");
  }
  const isDisabled = flagOf(entry.disabled, `${where}.disabled`) === true;
  const description = textOf(entry.description, `${where}.description`);
  const body = {
    ...(description === undefined ? {} : { description }),
    ...transportOf(plan, entry, where),
    enabled: (flagOf(entry.enabled, `${where}.enabled`) ?? true) && !isDisabled,
    ...(timeout === undefined ? {} : { call_timeout_ms: Math.round(timeout * 1000) }),
    ...(places === undefined ? {} : { max_in_flight: Math.trunc(places) }),
    ...(allowPrivateNetwork ? { allow_private_network: true } : {}),
  };
  plan.write("server", name, body, where);
}

function transportOf(plan: PlanBuilder, entry: Section, where: string): object {
  const command = textOf(entry.command, `${where}.command`);
  const url = textOf(entry.url, `${where}.url`);
  if ((command === undefined) === (url === undefined)) {
    return refuseFile(where, "needs a command or a url, and one of them alone");
  }
  if (command !== undefined) {
    const environment = textMapOf(entry.env, `${where}.env`);
    warnOfPlaceholders(plan, environment, `${where}.env`);
    const cwd = textOf(entry.cwd, `${where}.cwd`);
    const args = textsOf(entry.args, `${where}.args`) ?? [];
    const folder = cwd === undefined ? {} : { working_directory: cwd };
    return { stdio: { command, args, environment, ...folder } };
  }
  const headers = textMapOf(entry.headers, `${where}.headers`);
  warnOfPlaceholders(plan, headers, `${where}.headers`);
  const type = textOf(entry.type, `${where}.type`);
  return { remote: { kind: remoteKind(url ?? "", type, where), url, headers } };
}

const kinds: Readonly<Record<string, string>> = {
  http: "REMOTE_KIND_STREAMABLE_HTTP",
  "streamable-http": "REMOTE_KIND_STREAMABLE_HTTP",
  streamable_http: "REMOTE_KIND_STREAMABLE_HTTP",
  sse: "REMOTE_KIND_HTTP_SSE",
  ws: "REMOTE_KIND_WEBSOCKET",
  websocket: "REMOTE_KIND_WEBSOCKET",
};

function remoteKind(url: string, type: string | undefined, where: string): string {
  const named = type ?? (/^wss?:/.test(url) ? "websocket" : "http");
  const names = Object.keys(kinds).join(", ");
  return kinds[named] ?? refuseFile(`${where}.type`, `"${named}" is none of ${names}`);
}

/** Values are secrets more often than not, so a note names the variable and never shows what it holds. */
function warnOfPlaceholders(
  plan: PlanBuilder,
  values: Readonly<Record<string, string>>,
  where: string,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (!/\$\{|\$[A-Z_]/.test(value)) continue;
    plan.changed(
      `${where}.${name}`,
      "holds a placeholder, which is not filled in: set it afterwards",
    );
  }
}
