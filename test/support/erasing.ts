/** What the erasure tests do to a gateway: a call that leaves records of a person, and the erasure of that person. */
import { expect } from "bun:test";
import type { AdminClient } from "./admin-client.ts";
import { runGateway } from "./command-line.ts";
import { until } from "./deadline.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import { modernCall } from "./modern-agent.ts";

/** One call of the tiny server's echo. */
export async function callEcho(gateway: GatewayProcess, token: string): Promise<void> {
  const request = { method: "tools/call", params: { name: "echo", arguments: { text: "hi" } } };
  const answer = await modernCall({ base: gateway.agents, scope: "tiny", token, ...request });
  expect(answer.status).toBe(200);
}

/** Destroys the person's key as an operator does; resolves when nothing is left to sweep. */
export async function erase(gateway: GatewayProcess, admin: AdminClient, principal: string) {
  const target = ["--principal", principal, "--reason", "asked for it", "--sweep-now"];
  const door = ["--admin", gateway.admin, "--data-dir", gateway.dataDir];
  const done = await runGateway(["key", "destroy", ...target, ...door]);
  expect([done.exitCode, done.stderr]).toEqual([0, ""]);
  await until("swept", async () => (await countPending(admin)) === 0);
}

/** Sweeps left to do, as the gateway says. */
export async function countPending(admin: Pick<AdminClient, "call">): Promise<number> {
  const listed = await admin.call<{ sweeps_pending: number }>("KeyService", "ListKeys");
  return listed.sweeps_pending;
}
