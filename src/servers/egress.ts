/**
 * The one decision about dialling out (UP-01 to UP-06): which URLs, and which addresses after name resolution. The
 * connection goes to the very address that was checked, so a name cannot change its answer in between. Stateless;
 * the HTTP and WebSocket bindings and registration call it.
 */
import { lookup as resolveName } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { GatewayError } from "../errors/fault.ts";
import type { ServerSpec } from "./spec.ts";

const refusedV4: readonly (readonly [string, number, string])[] = [
  ["0.0.0.0", 8, "unspecified"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "carrier-grade NAT"],
  ["127.0.0.0", 8, "loopback"],
  ["169.254.0.0", 16, "link-local"],
  ["172.16.0.0", 12, "private"],
  ["192.0.0.0", 24, "reserved"],
  ["192.0.2.0", 24, "documentation"],
  ["192.88.99.0", 24, "6to4 relay"],
  ["192.168.0.0", 16, "private"],
  ["198.18.0.0", 15, "benchmarking"],
  ["198.51.100.0", 24, "documentation"],
  ["203.0.113.0", 24, "documentation"],
  ["224.0.0.0", 4, "multicast"],
  ["240.0.0.0", 4, "reserved"],
];

/** Only global unicast is dialled at all; these are the parts of it that lead back inside or nowhere. */
const refusedV6: readonly (readonly [string, number, string])[] = [
  ["2001::", 23, "Teredo or reserved"],
  ["2001:db8::", 32, "documentation"],
  ["2002::", 16, "6to4"],
  ["3fff::", 20, "documentation"],
];

const namedV4 = refusedV4.map(([net, prefix, what]) => blockOf(net, prefix, "ipv4", what));
const namedV6 = refusedV6.map(([net, prefix, what]) => blockOf(net, prefix, "ipv6", what));
const globalUnicast = blockOf("2000::", 3, "ipv6", "global unicast");
const mappedV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Why this address may not be dialled, or undefined where it may. Anything that is no IP address is refused. */
export function refusedAddress(address: string): string | undefined {
  const mapped = mappedV4.exec(canonical(address))?.[1];
  const plain = mapped ?? canonical(address);
  const family = isIP(plain);
  if (family === 4) return namedV4.find(({ list }) => list.check(plain, "ipv4"))?.what;
  if (family !== 6 || plain.includes("%")) return "not an address";
  if (!globalUnicast.list.check(plain, "ipv6")) return "not a global address";
  return namedV6.find(({ list }) => list.check(plain, "ipv6"))?.what;
}

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
  const host = bareHost(url);
  const why = allowPrivateNetwork || isIP(host) === 0 ? undefined : refusedAddress(host);
  if (why !== undefined)
    throw refusal(`a server's address must be public; this one is ${why}`, "egress-address");
  return url;
}

/** Refuses a registration that could never be dialled (UP-01). Throws `invalid-params`. */
export function checkTransport({ transport, allowPrivateNetwork }: ServerSpec): void {
  if (transport.kind === "stdio") return;
  const schemes = transport.kind === "websocket" ? "websocket" : "http";
  checkedUrl(transport.url, schemes, allowPrivateNetwork);
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
      const isRefused =
        !allowPrivateNetwork && addresses.some(({ address }) => refusedAddress(address));
      if (first === undefined || isRefused) {
        return callback(Object.assign(new Error("refused"), { code: "EGRESS_REFUSED" }), "", 0);
      }
      if (options.all === true) callback(null, dialled);
      else callback(null, first.address, first.family);
    });
  };
}

function blockOf(net: string, prefix: number, family: "ipv4" | "ipv6", what: string) {
  const list = new BlockList();
  list.addSubnet(net, prefix, family);
  return { list, what };
}

/** The one spelling of an IPv6 address, with an embedded IPv4 address in dots. */
function canonical(address: string): string {
  if (isIP(address) !== 6 || address.includes("%")) return address;
  const host = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1) ?? address;
  const hex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (hex === null) return host;
  const high = Number.parseInt(hex[1] ?? "", 16);
  const low = Number.parseInt(hex[2] ?? "", 16);
  return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

function refusal(what: string, reason: string): GatewayError {
  return new GatewayError("invalid-params", `Invalid server address: ${what}`, { reason });
}
