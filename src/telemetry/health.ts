/**
 * Named checks behind one verdict: live (the process works), ready (it can serve). Each check has its own time limit
 * and its answer is kept briefly, so probes cost nothing. Asked by the ops listener and the gRPC health service.
 */
import type { Clock } from "../lib/clock.ts";

export interface HealthCheck {
  readonly name: string;
  /** Whether a failure makes the gateway unready; otherwise it is only shown. */
  readonly required: boolean;
  /** Resolves where all is well, with a word about it if there is one; rejects with what is wrong. */
  run(signal: AbortSignal): Promise<string | undefined>;
}

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly required: boolean;
  readonly latencyMs: number;
  /** What the check said; the message of its error where it failed. */
  readonly detail: string | undefined;
}

export interface HealthReport {
  readonly ready: boolean;
  readonly draining: boolean;
  readonly uptimeSeconds: number;
  readonly checks: readonly CheckResult[];
}

export interface Health {
  /** Runs the checks, or answers from memory while the last run is fresh. */
  report(): Promise<HealthReport>;
  /** Unready from now on, whatever the checks say. */
  startDraining(): void;
}

export interface HealthOptions {
  readonly clock: Clock;
  readonly checks: readonly HealthCheck[];
  /** Longest one check may take; 2 s unless told. */
  readonly checkTimeoutMs?: number;
  /** How long a run's answers are kept; 1 s unless told. */
  readonly freshMs?: number;
}

export function createHealth(options: HealthOptions): Health {
  const { clock, checks, checkTimeoutMs = 2_000, freshMs = 1_000 } = options;
  const startedMs = clock.monotonicMs();
  let draining = false;
  let last:
    | { readonly atMs: number; readonly results: Promise<readonly CheckResult[]> }
    | undefined;

  const runAll = (): Promise<readonly CheckResult[]> => {
    const nowMs = clock.monotonicMs();
    if (last === undefined || nowMs - last.atMs >= freshMs) {
      const results = Promise.all(checks.map((check) => runOne(check, clock, checkTimeoutMs)));
      last = { atMs: nowMs, results };
    }
    return last.results;
  };

  return {
    report: async () => {
      const results = await runAll();
      const failed = results.some((result) => result.required && !result.ok);
      const uptimeSeconds = Math.floor((clock.monotonicMs() - startedMs) / 1000);
      return { ready: !draining && !failed, draining, uptimeSeconds, checks: results };
    },
    startDraining: () => {
      draining = true;
    },
  };
}

async function runOne(check: HealthCheck, clock: Clock, timeoutMs: number): Promise<CheckResult> {
  const startedMs = clock.monotonicMs();
  const ending = await raceTimeout(check, timeoutMs);
  const latencyMs = Math.round((clock.monotonicMs() - startedMs) * 1000) / 1000;
  return { name: check.name, required: check.required, latencyMs, ...ending };
}

async function raceTimeout(
  check: HealthCheck,
  timeoutMs: number,
): Promise<Pick<CheckResult, "ok" | "detail">> {
  const abort = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`no answer within ${timeoutMs} ms`));
    abort.abort();
  }, timeoutMs);
  try {
    return { ok: true, detail: await Promise.race([check.run(abort.signal), late.promise]) };
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
