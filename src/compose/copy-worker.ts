/**
 * The copying thread: takes records from the spool's files to the database over a store of its own, so that neither
 * the event loop of the calls nor another thread ever sees them. Started by `copy-thread.ts`; an extra entry point of
 * the executable.
 */
import { type Copier, createCopier } from "../audit/shipping/copier.ts";
import { openStore } from "../storage/open-store.ts";
import { type Store, StoreError } from "../storage/store.ts";
import type { Log, LogFields, LogLevel } from "../telemetry/log.ts";
import type { CopySpec, FromCopier, ToCopier } from "./copy-messages.ts";

let spec: CopySpec | undefined;
/** Opened at the first request that needs it, and again at the next where the database was away. */
let open: { readonly store: Store; readonly copier: Copier } | undefined;

declare const self: Worker;
self.onmessage = async ({ data: request }: MessageEvent<ToCopier>) => {
  if (request.op === "begin") spec = request.spec;
  else self.postMessage(await reply(request));
};

/** The main thread writes the log; this one alone makes months and sees the server its connections reach. */
const mainLog: Log = {
  debug: (event, fields) => say("debug", event, fields),
  info: (event, fields) => say("info", event, fields),
  warn: (event, fields) => say("warn", event, fields),
  error: (event, fields) => say("error", event, fields),
};

function say(level: LogLevel, event: string, fields: LogFields = {}): void {
  self.postMessage({ said: { level, event, fields } } satisfies FromCopier);
}

type Request = Exclude<ToCopier, { readonly op: "begin" }>;

async function reply(request: Request): Promise<FromCopier> {
  try {
    return { result: await answer(request) };
  } catch (error) {
    const kind = error instanceof StoreError ? error.kind : "unavailable";
    return { error: { kind, message: error instanceof Error ? error.message : String(error) } };
  }
}

async function answer(request: Request) {
  if (request.op === "close") return await open?.store.close().then(() => undefined);
  open ??= await start();
  if (request.op === "head") return await open.copier.head(request.syncedSeq);
  return await open.copier.copy(request);
}

async function start() {
  if (spec === undefined) throw new Error("a request came before the beginning");
  const { dir, logId } = spec;
  // The main thread's store brought the schema up to date.
  const store = await openStore({ ...spec.store, log: mainLog, migrate: false, isDirect: true });
  return { store, copier: createCopier({ dir, logId, store: store.audit }) };
}
