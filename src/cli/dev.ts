/**
 * `dev -- COMMAND`: one stdio server behind a gateway of its own on loopback, with a client that may do everything on
 * it. For trying a server over HTTP, SSE and WebSocket, recorded, without writing a configuration.
 */
import { basename } from "node:path";
import {
  type Command,
  type CommandContext,
  exitCodes,
  UsageError,
  untilStopped,
} from "./command.ts";
import { parseFlags, parseWholeNumber } from "./flags.ts";
import { type LocalGateway, startLocalGateway } from "./local-gateway.ts";
import { renderDesktop, renderDirect, renderOwn } from "./snippets.ts";

export const dev: Command = {
  usage: "[--port N] [--admin-port N] [--ops-port N] [--data-dir DIR] -- COMMAND [ARG…]",
  help: `Starts COMMAND as a stdio MCP server behind a gateway on this machine and prints its URL, a token and the
lines a client needs. Ports are free ones and state is temporary unless given. Ctrl-C ends both.`,
  run: async (args, context) => {
    const split = args.indexOf("--");
    const [own, wrapped] = split < 0 ? [args, []] : [args.slice(0, split), args.slice(split + 1)];
    const { values, positionals } = parseFlags(own, {
      port: { type: "string" },
      "admin-port": { type: "string" },
      "ops-port": { type: "string" },
      "data-dir": { type: "string" },
    });
    const [command, ...rest] = wrapped;
    if (command === undefined || positionals.length > 0) {
      throw new UsageError("write the server's command after --, such as: dev -- npx my-server");
    }
    const gateway = await startLocalGateway({
      dataDir: values["data-dir"],
      port: parseWholeNumber("--port", values.port, 0) ?? 0,
      adminPort: parseWholeNumber("--admin-port", values["admin-port"], 0) ?? 0,
      opsPort: parseWholeNumber("--ops-port", values["ops-port"], 0) ?? 0,
    });
    try {
      const name = toServerName(command);
      const token = await register(gateway, name, command, rest);
      await printAddresses(gateway, name, token, context);
      await untilStopped(context.stop);
      return exitCodes.done;
    } finally {
      await gateway.close();
    }
  },
};

/** A valid server name from a command: `/usr/bin/My_Server.js` becomes `my-server-js`. */
export function toServerName(command: string): string {
  const name = basename(command)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40);
  return name === "" || name === "all" ? "server" : name;
}

/** The token of this run's one client. It is shown: it is good on this machine and for this run only. */
interface DevToken {
  readonly token: string;
  readonly file: string;
}

async function register(
  gateway: LocalGateway,
  name: string,
  command: string,
  args: readonly string[],
): Promise<DevToken> {
  const stdio = { command, args, working_directory: process.cwd() };
  const server = { name, description: [command, ...args].join(" "), stdio, enabled: true };
  await gateway.admin("ServerService", "RegisterServer", { server });
  const client = {
    id: "dev",
    display_name: "dev",
    enabled: true,
    allowed_tools: ["*"],
    allowed_resources: ["*"],
    allowed_prompts: ["*"],
  };
  const answer = await gateway.admin("ClientService", "RegisterClient", { client });
  const token = String(answer.token);
  return { token, file: gateway.keepSecret("dev.token", token) };
}

async function printAddresses(
  gateway: LocalGateway,
  name: string,
  token: DevToken,
  { output }: CommandContext,
): Promise<void> {
  const { tools } = await gateway
    .admin("ServerService", "RefreshServer", { name })
    .catch((error: Error) => {
      output.note(`the server did not answer: ${error.message}`);
      return { tools: [] };
    });
  const count = Array.isArray(tools) ? tools.length : 0;
  const facts = { ...gateway, tokenFile: token.file };
  const websocketUrl = gateway.agentsUrl.replace(/^http/, "ws");
  output.line(`${output.paint("bold", name)} is behind the gateway with ${count} tools.\n`);
  output.line(`  Streamable HTTP  ${gateway.agentsUrl}/${name}/mcp`);
  output.line(`  HTTP+SSE         ${gateway.agentsUrl}/${name}/sse`);
  output.line(`  WebSocket        ${websocketUrl}/${name}/ws`);
  output.line(`  token            ${token.token}`);
  output.line(`                   also in ${token.file}`);
  output.line(`  admin, ops       ${gateway.adminAddress}, ${gateway.opsUrl}\n`);
  output.line(`${output.paint("dim", "try it:")}\n${renderOwn(facts)}\n`);
  const direct = renderDirect(`${gateway.agentsUrl}/${name}/mcp`, token.token);
  output.line(`${output.paint("dim", "a client that speaks HTTP:")}\n${direct}\n`);
  output.line(
    `${output.paint("dim", "a client that starts a program:")}\n${renderDesktop(facts)}\n`,
  );
  output.note("Ctrl-C stops.");
}
