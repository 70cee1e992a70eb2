/**
 * Whose address counts: the connection's, or, behind a trusted proxy, the rightmost address in `X-Forwarded-For`
 * that is not itself a trusted proxy's. Everything an untrusted peer says about addresses is ignored (TH-13).
 */
import { BlockList, isIP } from "node:net";

/** Returns a function from connection address and header to the address that counts. */
export function createPeerAddress(
  trustedProxies: readonly string[],
): (connectionAddress: string, forwardedFor: string | null) => string {
  if (trustedProxies.length === 0) return (connectionAddress) => plainAddress(connectionAddress);
  const trusted = new BlockList();
  for (const entry of trustedProxies) {
    const [address = "", bits] = entry.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(bits), family);
  }
  const isTrusted = (address: string) =>
    trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");

  return (connectionAddress, forwardedFor) => {
    let address = plainAddress(connectionAddress);
    if (forwardedFor === null) return address;
    const hops = forwardedFor.split(",").map((hop) => hop.trim());
    while (isTrusted(address)) {
      const next = hops.pop();
      if (next === undefined || isIP(next) === 0) break;
      address = next;
    }
    return address;
  };
}

/** IPv4 in an IPv6 socket reads as IPv4, so that one client has one address. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
