/**
 * The secrets of sinks: the headers a collector wants with each request, a line each in a file of their own. Read by
 * `secret-files.ts`, held by `config.ts`.
 */
import { ConfigError } from "./problem.ts";
import type { ConfigValues } from "./schema.ts";

type Sink = ConfigValues["audit"]["sinks"][number];

/** RFC 9110: a token, and visible characters. */
const headerLine = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
/** What the sink says itself, and what belongs to the connection. */
const ownNames = [
  "content-type",
  "content-length",
  "accept",
  "host",
  "connection",
  "transfer-encoding",
];

/** The text of the file, every line of which is a header. */
export function readSinkHeaders(
  { headers_file: path }: Sink,
  where: string,
  read: (path: string, where: string) => string,
): string | undefined {
  if (path === undefined) return undefined;
  const text = read(path, where);
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const name = line.slice(0, line.indexOf(":")).toLowerCase();
    if (headerLine.test(line) && !ownNames.includes(name)) continue;
    // The line itself is not shown: it may be most of a secret.
    const message = `line ${index + 1} of ${path} is no header a sink may have: Name: value, and none of ${ownNames.join(", ")}`;
    throw new ConfigError([{ where, message }]);
  }
  return text;
}

/** The headers in a text that was read so. */
export function parseHeaders(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split(/\r?\n/).map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
}
