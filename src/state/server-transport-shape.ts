/**
 * What a well-formed transport of a server looks like: a command to start, or a place to connect to. Part of
 * `resource-shapes.ts`; whether an address may be dialled is the egress check's word.
 */
import type { ServerTransport } from "../servers/spec.ts";
import {
  list,
  matching,
  object,
  oneOf,
  optional,
  refuseField,
  type Shape,
  text,
  textMap,
} from "./body-shape.ts";

const environmentName = matching(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/, 256, "a variable name");
const headerName = matching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/, 256, "an HTTP field name");
// No refusal ever quotes a value: both kinds are secrets.
const environmentValue = textWithoutNul(32_768, 0);
const headerValue = matching(/^[\t\x20-\x7e\x80-\xff]*$/, 16_384, "a value without line breaks");

const stdioTransport = object<Extract<ServerTransport, { kind: "stdio" }>>({
  kind: oneOf(["stdio"]),
  command: textWithoutNul(4096, 1),
  args: list(textWithoutNul(32_768, 0), 1024),
  environment: textMap(environmentName, environmentValue, 256),
  workingDirectory: optional(textWithoutNul(4096, 1)),
});

const remoteKinds = ["streamable-http", "http-sse", "websocket"] as const;
const remoteTransport = object<Exclude<ServerTransport, { kind: "stdio" }>>({
  kind: oneOf(remoteKinds),
  url: text(2048, 1),
  headers: textMap(headerName, headerValue, 128),
});

export const transportShape: Shape<ServerTransport> = (value, path) => {
  const isStdio =
    typeof value === "object" && value !== null && "kind" in value && value.kind === "stdio";
  if (isStdio) return stdioTransport(value, path);
  const remote = remoteTransport(value, path);
  checkUrl(remote.kind, remote.url, `${path}.url`);
  return remote;
};

function textWithoutNul(lengthMax: number, lengthMin: number): Shape<string> {
  const base = text(lengthMax, lengthMin);
  return (value, path) => {
    const read = base(value, path);
    return read.includes("\0") ? refuseField(path, "must not contain NUL") : read;
  };
}

function checkUrl(kind: (typeof remoteKinds)[number], url: string, path: string): void {
  const schemes = kind === "websocket" ? ["ws:", "wss:"] : ["http:", "https:"];
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !schemes.includes(parsed.protocol)) {
    refuseField(path, `must be a URL with scheme ${schemes.join(" or ").replaceAll(":", "")}`);
  }
  // Credentials belong in headers, which are write-only; a URL is shown to every viewer.
  if (parsed.username !== "" || parsed.password !== "") {
    refuseField(path, "must not contain a user name or password: use headers");
  }
  if (parsed.hash !== "") refuseField(path, "must not contain a fragment");
}
