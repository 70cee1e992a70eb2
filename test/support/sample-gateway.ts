/**
 * The main job's set-up: a gateway with the two sample servers behind it, started from the same executable:
 * `calculator` over Streamable HTTP and `notes` over stdio, registered over gRPC. Policy is each story's own.
 */
import { type AdminClient, createAdminClient } from "./admin-client.ts";
import { type RunningCommand, startCommand } from "./command-line.ts";
import {
  executable,
  type GatewayOptions,
  type GatewayProcess,
  startGateway,
} from "./gateway-process.ts";
import { registerHttpServer } from "./operator.ts";

export interface SampleGateway extends AsyncDisposable {
  readonly gateway: GatewayProcess;
  readonly admin: AdminClient;
  readonly calculator: RunningCommand & { readonly url: string };
}

export async function startSampleGateway(options: GatewayOptions = {}): Promise<SampleGateway> {
  await using stack = new AsyncDisposableStack();
  const calculator = stack.use(await startCalculator());
  const gateway = stack.use(await startGateway(options));
  const admin = stack.use(createAdminClient(gateway));
  await registerHttpServer(admin, "calculator", calculator.url);
  await registerStdioServer(admin, "notes", executable, ["sample", "notes"]);
  const kept = stack.move();
  return { gateway, admin, calculator, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The sample calculator as a process; a port of 0 asks for a free one. */
export async function startCalculator(
  port = 0,
): Promise<RunningCommand & { readonly url: string }> {
  const command = [executable, "sample", "calculator", "--port", String(port)];
  const running = await startCommand(command, /"url":"[^"]+"/);
  const url = /"url":"([^"]+)"/.exec(running.stdout())?.[1] ?? "";
  return { ...running, url };
}

export async function registerStdioServer(
  admin: AdminClient,
  name: string,
  command: string,
  args: readonly string[],
): Promise<void> {
  await admin.call("ServerService", "RegisterServer", {
    server: { name, enabled: true, stdio: { command, args } },
  });
}
