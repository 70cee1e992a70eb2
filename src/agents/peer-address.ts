/**
 * Whose address counts: the connection's, or, behind a trusted proxy, the rightmost address in `X-Forwarded-For`
 * that is not itself a trusted proxy's. Everything an untrusted peer says about addresses is ignored (TH-13), and so
 * is what it says about certificates (AN-22): `isTrusted` tells whose word counts.
 */
import { isIP } from "node:net";
import { createNetworks, plainAddress } from "../lib/networks.ts";

export interface PeerAddress {
  /** The address that counts. */
  of(connectionAddress: string, forwardedFor: string | null): string;
  /** Whether the connection comes from a proxy whose headers are believed. */
  isTrusted(connectionAddress: string): boolean;
}

export function createPeerAddress(trustedProxies: readonly string[]): PeerAddress {
  const trusted = createNetworks(trustedProxies);
  const isTrusted = (address: string) => !trusted.isEmpty && trusted.has(address);
  return {
    isTrusted,
    of(connectionAddress, forwardedFor) {
      let address = plainAddress(connectionAddress);
      if (forwardedFor === null || !isTrusted(address)) return address;
      const hops = forwardedFor.split(",").map((hop) => hop.trim());
      while (isTrusted(address)) {
        const next = hops.pop();
        if (next === undefined || isIP(next) === 0) break;
        address = plainAddress(next);
      }
      return address;
    },
  };
}
