/**
 * `demo`: a gateway with two sample servers behind it, set up over gRPC, toured over every transport, and every step
 * checked against the audit log. Works in an empty directory without a network; leaves nothing behind.
 */
import { version } from "../lib/version.ts";
import { type Command, type CommandContext, exitCodes, untilStopped } from "./command.ts";
import { startCalculatorProcess } from "./demo-calculator.ts";
import { runTour } from "./demo-tour.ts";
import { needPositionals, parseFlags } from "./flags.ts";
import { type LocalGateway, startLocalGateway } from "./local-gateway.ts";
import { selfCommand } from "./self.ts";
import {
  renderCurl,
  renderDesktop,
  renderGrpcurl,
  renderOwn,
  renderWebSocket,
} from "./snippets.ts";

export const demoClientId = "demo-agent";

export const demo: Command = {
  usage: "[--once]",
  help: `Starts everything on free loopback ports with state in a temporary folder, makes an allowed and a refused
call over each transport, shows their audit records, prints lines to paste and stays up until Ctrl-C.

  --once             end after the tour; exit code 1 if anything was not as expected`,
  run: async (args, context) => {
    const { values, positionals } = parseFlags(args, { once: { type: "boolean" } });
    needPositionals(positionals, []);
    await using stack = new AsyncDisposableStack();
    const gateway = await startLocalGateway({
      dataDir: undefined,
      port: 0,
      adminPort: 0,
      opsPort: 0,
    });
    stack.defer(() => gateway.close());
    const calculator = await startCalculatorProcess(gateway.stdioEnvironment);
    stack.defer(() => calculator.close());
    const token = await setUp(gateway, calculator.url);
    printOpening(gateway, context);
    const isAsExpected = await runTour({ gateway, token, clientId: demoClientId }, context);
    if (values.once) return isAsExpected ? exitCodes.done : exitCodes.failed;
    printSnippets(gateway, gateway.keepSecret("demo-agent.token", token), context);
    await untilStopped(context.stop);
    return isAsExpected ? exitCodes.done : exitCodes.failed;
  },
};

/** What an operator does first: servers, a client, a rule. Returns the client's token. */
async function setUp(gateway: LocalGateway, calculatorUrl: string): Promise<string> {
  const [command, ...args] = selfCommand;
  const calculator = {
    name: "calculator",
    description: "Exact decimal arithmetic",
    remote: { kind: "REMOTE_KIND_STREAMABLE_HTTP", url: calculatorUrl },
    allow_private_network: true,
    enabled: true,
  };
  const notes = {
    name: "notes",
    description: "A few notes",
    stdio: { command, args: [...args, "sample", "notes"] },
    enabled: true,
  };
  for (const server of [calculator, notes]) {
    await gateway.admin("ServerService", "RegisterServer", { server });
  }
  const rule = {
    name: "no-deletes",
    effect: "RULE_EFFECT_DENY",
    priority: 100,
    condition: { server: "notes", target_pattern: "delete_.*" },
    enabled: true,
  };
  await gateway.admin("PolicyService", "CreateRule", { rule });
  const client = {
    id: demoClientId,
    display_name: "Demo agent",
    enabled: true,
    allowed_tools: ["calculator__*", "notes__*"],
    allowed_resources: ["note://*"],
    allowed_prompts: ["notes__*"],
  };
  const { token } = await gateway.admin("ClientService", "RegisterClient", { client });
  return String(token);
}

function printOpening(gateway: LocalGateway, { output }: CommandContext): void {
  const row = (name: string, text: string) =>
    output.line(`  ${output.paint("dim", name.padEnd(9))} ${text}`);
  output.line(`\n${output.paint("bold", "MCP Gateway")} ${version}\n`);
  row("agents", gateway.agentsUrl);
  row("admin", `${gateway.adminAddress} (gRPC)`);
  row("ops", gateway.opsUrl);
  row("servers", "calculator (Streamable HTTP), notes (stdio)");
  row("client", `${demoClientId}, allowed calculator__* and notes__*`);
  row("rule", "no-deletes: nobody calls delete_* on notes");
}

function printSnippets(gateway: LocalGateway, tokenFile: string, { output }: CommandContext): void {
  const facts = { ...gateway, tokenFile };
  const show = (title: string, text: string) =>
    output.line(`${output.paint("bold", title)}\n${text}\n`);
  show("From this program", renderOwn(facts));
  show("curl", renderCurl(facts));
  show("WebSocket", renderWebSocket(facts));
  show("Operator, by gRPC", renderGrpcurl(facts));
  show("Desktop client (mcpServers)", renderDesktop(facts));
  output.note("Running. Ctrl-C stops and removes everything.");
}
