/**
 * The key `audit.sinks`: where records go besides the spool and the database. Each kind has keys of its own, and a key
 * of another kind is refused, so that a typing error is never a setting nobody reads.
 */
import { z } from "zod";
import { mebibyte, text } from "./fields.ts";

export const sinkKinds = ["file", "stdout", "syslog", "otlp"] as const;
type SinkKind = (typeof sinkKinds)[number];

/** What each kind needs, and what it may have besides. */
const keysOf: Readonly<
  Record<SinkKind, { readonly needed: readonly string[]; readonly optional: readonly string[] }>
> = {
  file: { needed: ["path"], optional: ["rotate_bytes", "rotate_daily", "keep_files", "sync"] },
  stdout: { needed: [], optional: [] },
  syslog: { needed: ["address"], optional: ["transport", "facility", "ca_file"] },
  otlp: { needed: ["url"], optional: ["resource", "headers_file"] },
};
const commonKeys = ["name", "kind"];

function isAddress(address: string): boolean {
  const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s[\]]+):(\d{1,5})$/.exec(address)?.[1]);
  return port >= 1 && port <= 65_535;
}

const whole = (min: number, max: number, about: string) =>
  z.int().min(min).max(max).optional().describe(about);

const sink = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "1 to 63 of a-z, 0-9, _ and -")
      .describe("What metrics, logs and its place in data_dir/sinks call it."),
    kind: z.enum(sinkKinds).describe("file, stdout, syslog or otlp."),
    path: text("file: where the lines go.").optional(),
    rotate_bytes: whole(
      4096,
      1024 * 1024 * mebibyte,
      "file: size at which a new file begins; 100 MiB unless told.",
    ),
    rotate_daily: z
      .boolean()
      .optional()
      .describe("file: begin a new file each day (UTC); true unless told."),
    keep_files: whole(0, 10_000, "file: finished files that are kept; 14 unless told."),
    sync: z
      .boolean()
      .optional()
      .describe("file: force lines to the disk before they count as delivered; true unless told."),
    address: z
      .string()
      .refine(isAddress, "host:port, with an IPv6 address in brackets")
      .optional()
      .describe("syslog: host:port of the receiver."),
    transport: z
      .enum(["udp", "tcp", "tls"])
      .optional()
      .describe("syslog: tcp and tls count octets (RFC 6587); tls unless told."),
    facility: whole(0, 23, "syslog: facility number; 13 (log audit) unless told."),
    ca_file: text("syslog: PEM CA of the receiver; the system's CAs unless told.").optional(),
    url: z
      .url({ protocol: /^https?$/, error: "an http:// or https:// URL" })
      .optional()
      .describe("otlp: the whole URL, such as https://collector:4318/v1/logs."),
    resource: z
      .array(z.string().regex(/^[^=\s]{1,256}=.{0,1024}$/, "name=value"))
      .max(64)
      .optional()
      .describe("otlp: resource attributes besides service.*, each as name=value."),
    headers_file: text(
      "otlp: file of headers for each request, such as Authorization: Bearer …, one a line.",
    ).optional(),
  })
  .superRefine((given, context) => {
    const { needed, optional } = keysOf[given.kind];
    for (const key of needed) {
      if (given[key as keyof typeof given] !== undefined) continue;
      context.addIssue({ code: "custom", message: `a sink of kind ${given.kind} needs ${key}` });
    }
    for (const [key, value] of Object.entries(given)) {
      if (value === undefined || [...commonKeys, ...needed, ...optional].includes(key)) continue;
      const known = [...needed, ...optional].join(", ") || "no others";
      const message = `${key} is no key of a sink of kind ${given.kind}; it has ${known}`;
      context.addIssue({ code: "custom", path: [key], message });
    }
  });

export const sinks = z
  .array(sink)
  .max(16)
  .superRefine((list, context) => {
    const seen = new Map<string, string>();
    for (const [index, { name, path }] of list.entries()) {
      for (const [what, value] of [["name", name] as const, ["path", path] as const]) {
        if (value === undefined) continue;
        if (seen.get(`${what} ${value}`) !== undefined) {
          const message = `two sinks have the same ${what}`;
          context.addIssue({ code: "custom", path: [index, what], message });
        }
        seen.set(`${what} ${value}`, value);
      }
    }
  })
  .default([])
  .describe("Where records go besides the database; see docs/audit.md.");
