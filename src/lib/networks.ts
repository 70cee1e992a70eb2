/**
 * Lists of addresses and CIDR ranges, and whether an address is in one. IPv4 and IPv6 are kept apart, because Bun's
 * `BlockList` lets `::/0` stand for IPv4 as well; an IPv4 address in IPv6 clothes is IPv4 (`::ffff:10.0.0.1`).
 */
import { BlockList, isIP, isIPv4 } from "node:net";

export interface Networks {
  readonly isEmpty: boolean;
  /** False for what is no address at all. */
  has(address: string): boolean;
}

interface Network {
  readonly address: string;
  readonly family: "ipv4" | "ipv6";
  readonly bits: number;
}

/** What an entry must be, for whoever refuses one. */
export const networkForm = 'an address or a range such as "10.0.0.0/8" or "2001:db8::/32"';

/** Whether the text is an address or a range. Bits beyond the prefix are let be: `10.1.2.3/8` is `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  return readNetwork(text) !== undefined;
}

/** Entries that are no network must have been refused before: here they throw. */
export function createNetworks(entries: readonly string[]): Networks {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const entry of entries) {
    const network = readNetwork(entry);
    if (network === undefined) throw new TypeError(`${entry} is not ${networkForm}`);
    lists[network.family].addSubnet(network.address, network.bits, network.family);
  }
  return {
    isEmpty: entries.length === 0,
    has(address) {
      const plain = plainAddress(address);
      const version = isIP(plain);
      if (version === 0) return false;
      const family = version === 4 ? "ipv4" : "ipv6";
      return lists[family].check(plain, family);
    },
  };
}

/** Without zone, and IPv4 wherever it is IPv4, so that one client has one address. */
export function plainAddress(address: string): string {
  const zoneAt = address.indexOf("%");
  const bare = zoneAt === -1 ? address : address.slice(0, zoneAt);
  if (!bare.includes(":") || isIP(bare) === 0) return bare;
  const hex = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(canonical(bare));
  if (hex === null) return bare;
  const [high, low] = [Number.parseInt(hex[1] ?? "", 16), Number.parseInt(hex[2] ?? "", 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function readNetwork(text: string): Network | undefined {
  const [address = "", suffix, ...more] = text.split("/");
  if (more.length > 0 || isIP(address) === 0 || address.includes("%")) return undefined;
  if (suffix !== undefined && !/^(0|[1-9]\d{0,2})$/.test(suffix)) return undefined;
  const width = isIPv4(address) ? 32 : 128;
  const given = suffix === undefined ? width : Number(suffix);
  if (given > width) return undefined;
  const plain = plainAddress(address);
  const isMapped = width === 128 && isIPv4(plain);
  // A range wider than all of mapped IPv4 holds IPv6 too: it stays what was written.
  if (isMapped && given >= 96) return { address: plain, family: "ipv4", bits: given - 96 };
  return { address, family: width === 32 ? "ipv4" : "ipv6", bits: given };
}

function canonical(ipv6: string): string {
  return new URL(`http://[${ipv6}]`).hostname;
}
