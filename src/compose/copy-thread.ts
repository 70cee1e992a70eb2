/**
 * The main thread's end of the copying thread: one request at a time, each with a deadline, because a thread that
 * hangs in a frozen file answers nothing. A thread that died is started again by the next request. Given to the audit
 * log by `parts.ts`.
 */
import type { Copied, Copier, CopyPlace } from "../audit/shipping/copier.ts";
import { startWorker } from "../lib/worker.ts";
import { StoreError } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { CopySpec, FromCopier, ToCopier } from "./copy-messages.ts";

type Result = CopyPlace | Copied | undefined;

/** The database's answer has the store's own deadline; this one leaves room for reading the spool as well. */
const patience = 2;

export function startCopyThread(spec: CopySpec, log: Log): Copier {
  const deadlineMs = spec.store.deadlineMs * patience;
  let worker: Worker | undefined;
  /** What the thread is at; stays set after its deadline, so a thread that hangs is not given more to do. */
  let current: PromiseWithResolvers<Result> | undefined;

  function start(): Worker {
    const started = startWorker("compose/copy-worker");
    started.onmessage = ({ data: reply }: MessageEvent<FromCopier>) => {
      if ("said" in reply) log[reply.said.level](reply.said.event, reply.said.fields);
      else if ("result" in reply) finish()?.resolve(reply.result);
      else finish()?.reject(new StoreError(reply.error.kind, reply.error.message));
    };
    const lost = (reason: string): void => {
      if (worker !== started) return;
      worker = undefined;
      finish()?.reject(new StoreError("unavailable", `the copying thread ended: ${reason}`));
    };
    started.onerror = (event) => lost(event.message);
    started.addEventListener("close", () => lost("closed"));
    started.postMessage({ op: "begin", spec } satisfies ToCopier);
    return started;
  }

  function finish(): PromiseWithResolvers<Result> | undefined {
    const finished = current;
    current = undefined;
    return finished;
  }

  async function ask<R extends Result>(request: ToCopier): Promise<R> {
    if (current !== undefined) throw silent();
    const answer = Promise.withResolvers<Result>();
    current = answer;
    worker ??= start();
    worker.postMessage(request);
    const timer = setTimeout(() => answer.reject(silent()), deadlineMs);
    // Which result belongs to which request is settled by asking one thing at a time.
    return await answer.promise.then((result) => result as R).finally(() => clearTimeout(timer));
  }

  return {
    head: (syncedSeq) => ask<CopyPlace>({ op: "head", syncedSeq }),
    copy: (range) => ask<Copied | undefined>({ op: "copy", ...range }),
    async close() {
      if (worker === undefined) return;
      const closing = worker;
      await ask({ op: "close" }).catch(() => {});
      worker = undefined;
      closing.terminate();
    },
  };

  function silent(): StoreError {
    return new StoreError(
      "unavailable",
      `the copying thread did not answer within ${deadlineMs} ms`,
    );
  }
}
