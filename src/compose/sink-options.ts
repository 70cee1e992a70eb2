/**
 * The sinks the configuration names, in the words of the sinks' thread; CAs are read from their files. Used by `parts.ts`.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { parseHeaders } from "../config/sink-secrets.ts";
import type { SinkSpec } from "./sink-messages.ts";

/** CAs are read when the sinks are made: a file that cannot be read stops the start, with its name. */
export function toSinks({ audit }: Config): readonly SinkSpec[] {
  return audit.sinks.map((sink): SinkSpec => {
    const { name, kind } = sink;
    switch (kind) {
      case "file":
        return {
          name,
          kind,
          path: resolve(sink.path ?? ""),
          rotateBytes: sink.rotateBytes ?? 100 * 1024 * 1024,
          rotateDaily: sink.rotateDaily ?? true,
          keepFiles: sink.keepFiles ?? 14,
          sync: sink.sync ?? true,
        };
      case "stdout":
        return { name, kind };
      case "syslog":
        return {
          name,
          kind,
          ...toHostAndPort(sink.address ?? ""),
          transport: sink.transport ?? "tls",
          facility: sink.facility ?? 13,
          ca: sink.caFile === undefined ? undefined : readFileSync(sink.caFile, "utf8"),
        };
      case "otlp":
        return {
          name,
          kind,
          url: sink.url ?? "",
          resource: toAttributes(sink.resource ?? []),
          headers: sink.headers === undefined ? {} : parseHeaders(sink.headers.reveal()),
        };
      default:
        return kind satisfies never;
    }
  });
}

function toAttributes(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}

function toHostAndPort(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(address.slice(colon + 1)) };
}
