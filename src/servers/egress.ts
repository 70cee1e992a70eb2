/**
 * The one decision about dialling out (UP-01 to UP-06): which URLs, and which addresses after name resolution
 * (`egress-address.ts`). The connection goes to the very address that was checked, so a name cannot change its answer
 * in between. Stateless; the HTTP and WebSocket bindings, `egress-fetch.ts` and registration call it.
 */
import { lookup as resolveName } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { GatewayError } from "../errors/fault.ts";
import { refusedAddress } from "./egress-address.ts";
import type { ServerSpec } from "./spec.ts";

/** Ports of other protocols, which an HTTP request could be made to speak to (the fetch standard's "bad ports"). */
const refusedPorts = new Set(
  `0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123
  135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 995
  1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6379 6566 6665 6666 6667 6668 6669 6679 6697 10080 11211`
    .split(/\s+/)
    .map(Number),
);

/** Names that are never a public server's; what other names stand for is decided by their addresses alone. */
const privateName = /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa)$/;

/** An authority that both we and every URL parser read alike: no user, no escape, nothing to be trimmed or folded. */
const plainAuthority =
  /^[a-z]+:\/\/(\[[0-9a-fA-F:.]+\]|[^\s\\@%:/?#[\]]+)(?::[0-9]{1,5})?(?:[/?#]|$)/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a URL parser silently drops.
const dropped = /[\x00-\x20\x7f\\]/;

/**
 * The URL, once it is one we may dial: https or wss, or plain http or ws where private networks are allowed; no
 * userinfo; a literal address is checked here, a name when it is resolved. Throws `invalid-params`.
 */
export function checkedUrl(
  text: string,
  schemes: "http" | "websocket",
  allowPrivateNetwork: boolean,
): URL {
  const url = URL.parse(text);
  const [secure, plain] = schemes === "http" ? ["https:", "http:"] : ["wss:", "ws:"];
  const isAllowed = url?.protocol === secure || (allowPrivateNetwork && url?.protocol === plain);
  if (url === null || !isAllowed) {
    const also = allowPrivateNetwork
      ? ` or ${plain}//`
      : `, or ${plain}// where allow_private_network is set`;
    throw refusal(`a server's URL must start with ${secure}//${also}`, "egress-scheme");
  }
  if (url.username !== "" || url.password !== "") {
    throw refusal("a server's URL must not hold a user name or password", "egress-userinfo");
  }
  const written = dropped.test(text) ? undefined : plainAuthority.exec(text)?.[1];
  if (written === undefined) {
    throw refusal(
      `a server's URL must be plain: ${secure}//host[:port]/path, without blanks, escapes or user`,
      "egress-spelling",
    );
  }
  checkHost(bareHost(url), written, allowPrivateNetwork);
  if (!allowPrivateNetwork && url.port !== "" && refusedPorts.has(Number(url.port))) {
    throw refusal(`port ${url.port} belongs to another protocol`, "egress-port");
  }
  return url;
}

function checkHost(host: string, written: string, allowPrivateNetwork: boolean): void {
  if (isIP(host) === 0) {
    if (host.endsWith(".")) {
      throw refusal("a server's name must not end in a dot", "egress-spelling");
    }
    if (!allowPrivateNetwork && privateName.test(host)) {
      throw refusal(
        "a server's name must be public, unless allow_private_network is set",
        "egress-address",
      );
    }
    return;
  }
  // 127.1, 0x7f.0.0.1, 2130706433, 0177.0.0.1 and digits of other scripts all stand for one address.
  if (isIP(host) === 4 && written !== host) {
    throw refusal(`write the address in its usual form: ${host}`, "egress-spelling");
  }
  const why = refusedAddress(host, allowPrivateNetwork);
  if (why === undefined) return;
  throw refusal(
    allowPrivateNetwork
      ? `this address is never dialled: it is ${why}`
      : `a server's address must be public; this one is ${why}`,
    "egress-address",
  );
}

/** Refuses a registration that could never be dialled (UP-01). Throws `invalid-params`. */
export function checkTransport({ transport, auth, allowPrivateNetwork }: ServerSpec): void {
  if (transport.kind === "stdio") return;
  const schemes = transport.kind === "websocket" ? "websocket" : "http";
  checkedUrl(transport.url, schemes, allowPrivateNetwork);
  for (const url of [auth?.oauth?.issuer, auth?.oauth?.tokenUrl]) {
    if (url !== undefined) checkedUrl(url, "http", allowPrivateNetwork);
  }
}

/** The URL's host without the brackets of an IPv6 literal. */
export function bareHost(url: URL): string {
  return url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
}

export type Resolve = typeof resolveName;

/** For `net.connect`: resolves once and refuses the name if any of its addresses may not be dialled. */
export function createEgressLookup(
  allowPrivateNetwork: boolean,
  addressesMax: number,
  resolve: Resolve = resolveName,
): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, "", 0);
      const dialled = addresses.slice(0, addressesMax);
      const first = dialled[0];
      const isRefused = addresses.some(
        ({ address }) => refusedAddress(address, allowPrivateNetwork) !== undefined,
      );
      if (first === undefined || isRefused) {
        return callback(Object.assign(new Error("refused"), { code: "EGRESS_REFUSED" }), "", 0);
      }
      if (options.all === true) callback(null, dialled);
      else callback(null, first.address, first.family);
    });
  };
}

function refusal(what: string, reason: string): GatewayError {
  return new GatewayError("invalid-params", `Invalid server address: ${what}`, { reason });
}
