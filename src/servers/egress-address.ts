/**
 * Which addresses may be dialled (UP-01, UP-04): judged by their bytes, never by their spelling. An IPv6 address that
 * carries an IPv4 one is judged by what it carries as well. Pure; `egress.ts` asks about each address it would dial.
 */
import { isIP } from "node:net";

/** `private`: only where private networks are allowed. `never`: not even there. */
type Reach = "private" | "never";

interface Range {
  readonly bytes: Uint8Array;
  readonly prefix: number;
  readonly reach: Reach;
  readonly what: string;
}

/** No MCP server lives at a cloud's metadata address, and what answers there hands out credentials. */
const refusedV4 = [
  range("0.0.0.0", 8, "never", "unspecified"),
  range("10.0.0.0", 8, "private", "private"),
  range("100.100.100.200", 32, "never", "a cloud's metadata service"),
  range("100.64.0.0", 10, "private", "carrier-grade NAT"),
  range("127.0.0.0", 8, "private", "loopback"),
  range("168.63.129.16", 32, "never", "a cloud's metadata service"),
  range("169.254.0.0", 16, "never", "link-local"),
  range("172.16.0.0", 12, "private", "private"),
  range("192.0.0.0", 24, "never", "reserved"),
  range("192.0.2.0", 24, "private", "documentation"),
  range("192.88.99.0", 24, "never", "6to4 relay"),
  range("192.168.0.0", 16, "private", "private"),
  range("198.18.0.0", 15, "private", "benchmarking"),
  range("198.51.100.0", 24, "private", "documentation"),
  range("203.0.113.0", 24, "private", "documentation"),
  range("224.0.0.0", 4, "never", "multicast"),
  range("240.0.0.0", 4, "never", "reserved"),
];

const refusedV6 = [
  range("fd00:ec2::254", 128, "never", "a cloud's metadata service"),
  range("fd20:ce::254", 128, "never", "a cloud's metadata service"),
  range("::1", 128, "private", "loopback"),
  range("fc00::", 7, "private", "private"),
  range("fec0::", 10, "private", "site-local"),
  range("fe80::", 10, "never", "link-local"),
  range("ff00::", 8, "never", "multicast"),
  range("64:ff9b::", 96, "private", "NAT64"),
  range("64:ff9b:1::", 48, "private", "NAT64"),
  range("2001::", 32, "private", "Teredo"),
  range("2001:db8::", 32, "private", "documentation"),
  range("2001::", 23, "never", "reserved"),
  range("2002::", 16, "private", "6to4"),
  range("3fff::", 20, "private", "documentation"),
];

const globalUnicast = range("2000::", 3, "private", "global unicast");
const mappedV4 = range("::ffff:0:0", 96, "private", "IPv4-mapped");

/** Where an IPv6 address carries an IPv4 one: the range, and how to take it out. */
const carriers: readonly {
  readonly within: Range;
  readonly take: (bytes: Uint8Array) => Uint8Array;
}[] = [
  { within: range("64:ff9b::", 96, "private", ""), take: (bytes) => bytes.subarray(12) },
  { within: range("64:ff9b:1::", 48, "private", ""), take: (bytes) => bytes.subarray(12) },
  { within: range("2002::", 16, "private", ""), take: (bytes) => bytes.subarray(2, 6) },
  { within: range("2001::", 32, "private", ""), take: (bytes) => bytes.subarray(4, 8) },
  {
    within: range("2001::", 32, "private", ""),
    take: (bytes) => bytes.subarray(12).map((byte) => byte ^ 0xff),
  },
];

/** Why this address may not be dialled, or undefined where it may. Anything that is no IP address is refused. */
export function refusedAddress(address: string, allowPrivateNetwork = false): string | undefined {
  const bytes = addressBytes(address);
  if (bytes === undefined) return "not an address";
  const found = bytes.length === 4 ? judgeV4(bytes) : judgeV6(bytes);
  if (found === undefined || (allowPrivateNetwork && found.reach === "private")) return undefined;
  return found.what;
}

type Judgement = Pick<Range, "reach" | "what"> | undefined;

function judgeV4(bytes: Uint8Array): Judgement {
  return refusedV4.find((one) => isWithin(bytes, one));
}

function judgeV6(bytes: Uint8Array): Judgement {
  if (isWithin(bytes, mappedV4)) return judgeV4(bytes.subarray(12));
  for (const { within, take } of carriers) {
    const carried = isWithin(bytes, within) ? judgeV4(take(bytes)) : undefined;
    if (carried?.reach === "never") return carried;
  }
  const named = refusedV6.find((one) => isWithin(bytes, one));
  if (named !== undefined) return named;
  if (!isWithin(bytes, globalUnicast)) return { reach: "never", what: "not a global address" };
  return isIsatap(bytes) ? { reach: "never", what: "ISATAP" } : undefined;
}

/** An interface identifier of `::0:5efe:a.b.c.d`, or `::200:5efe:a.b.c.d`, under any prefix. */
function isIsatap(bytes: Uint8Array): boolean {
  const [flags, zero, high, low] = bytes.subarray(8, 12);
  return (flags === 0 || flags === 2) && zero === 0 && high === 0x5e && low === 0xfe;
}

function isWithin(bytes: Uint8Array, { bytes: net, prefix }: Range): boolean {
  for (let bit = 0; bit < prefix; bit += 8) {
    const mask = prefix - bit >= 8 ? 0xff : (0xff << (8 - (prefix - bit))) & 0xff;
    if ((((bytes[bit >> 3] ?? 0) ^ (net[bit >> 3] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

/** The four or sixteen bytes of an address; undefined for anything else, a zone included. */
function addressBytes(address: string): Uint8Array | undefined {
  const family = isIP(address);
  if (family === 4) return Uint8Array.from(address.split("."), Number);
  if (family !== 6) return undefined;
  // The URL parser knows every spelling, and writes hexadecimal groups.
  const host = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1);
  if (host === undefined) return undefined;
  const [before = "", after] = host.split("::");
  const head = groups(before);
  const tail = after === undefined ? [] : groups(after);
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return Uint8Array.from(
    [...head, ...zeros, ...tail].flatMap((group) => [group >> 8, group & 0xff]),
  );
}

function groups(text: string): readonly number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

function range(net: string, prefix: number, reach: Reach, what: string): Range {
  const bytes = addressBytes(net);
  if (bytes === undefined) throw new Error(`${net} is no address`);
  return { bytes, prefix, reach, what };
}
