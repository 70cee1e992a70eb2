/**
 * A real agents' listener in front of the in-memory pipeline of `data-plane.ts`: everything on the agents' side is as
 * it runs, only servers (where no real ones are given) and the audit log are plain values. Asserts nothing.
 */
import { createAgentsListener } from "../../src/agents/listener.ts";
import { type AgentsOptions, defaultAgentsOptions } from "../../src/agents/options.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Servers } from "../../src/servers/client.ts";
import type { StoredResource } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createDataPlane, type DataPlane, type FakeServer } from "./data-plane.ts";

export interface PlaneGateway extends AsyncDisposable {
  readonly base: string;
  readonly plane: DataPlane;
  readonly listener: ReturnType<typeof createAgentsListener>;
}

export async function startPlaneGateway(
  servers: readonly FakeServer[],
  state: readonly StoredResource[],
  options: Partial<AgentsOptions> = {},
  /** Stand in for the plain values' answers. */
  real?: Servers,
): Promise<PlaneGateway> {
  const plane = createDataPlane(servers, state, real);
  const listener = createAgentsListener({
    options: { ...defaultAgentsOptions, port: 0, ...options },
    dispatch: plane.dispatch,
    log: silentLog,
    metrics: createMetrics(),
    clock: systemClock,
    snapshotChanges: (changed) => plane.current.subscribe(() => changed()),
    version: "0.0.0-test",
  });
  const { url } = await listener.start();
  return { base: url, plane, listener, [Symbol.asyncDispose]: () => listener.stop() };
}
