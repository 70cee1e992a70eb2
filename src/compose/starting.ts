/**
 * What probes are told while a start waits for its database: alive, and not ready. So nobody restarts a gateway that
 * does nothing but wait (ST-01, ST-05: no boot loop). Called by `start-gateway.ts`.
 */
import type { Config } from "../config/config.ts";
import { systemClock } from "../lib/clock.ts";
import { version } from "../lib/version.ts";
import { createHealth } from "../telemetry/health.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createOpsServer } from "../telemetry/ops-server.ts";

/** A start that takes no longer needs no listener of its own for it. */
const patienceMs = 1_000;

/** Resolves or rejects as `starting` does, with the ops listener open meanwhile where that takes its time. */
export async function answerWhileStarting<T>(config: Config, starting: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), patienceMs);
  try {
    const first = await Promise.race([starting.then(() => "started" as const), late.promise]);
    if (first === "started") return await starting;
  } finally {
    clearTimeout(timer);
  }
  const health = createHealth({
    clock: systemClock,
    checks: [
      {
        name: "database",
        required: true,
        run: () => Promise.reject(new Error("the start waits for it; the log says why")),
      },
    ],
  });
  const ops = createOpsServer({ ...config.ops, health, metrics: createMetrics(), version });
  try {
    return await starting;
  } finally {
    await ops.close();
  }
}
