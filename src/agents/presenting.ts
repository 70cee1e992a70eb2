/**
 * Who stands at the door: the address that counts, the one credential, and what proves it. Also the networks that are
 * served at all, which are asked before anything else is looked at. The listener calls it for every request.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import { createNetworks } from "../lib/networks.ts";
import { readCredential } from "./credential.ts";
import { readEvidence, readForwardedCertificate } from "./evidence.ts";
import type { AgentsOptions } from "./options.ts";
import { createPeerAddress } from "./peer-address.ts";
import type { Presented } from "./tickets.ts";
import type { TlsFront } from "./tls-front.ts";

/** The other end of a connection. */
export interface Visitor {
  /** Of the agent, as far as trusted proxies say. */
  readonly address: string;
  readonly certificate: Uint8Array | undefined;
  /** Why nothing of theirs is looked at. */
  readonly refusal: Fault | undefined;
}

export interface Presenting {
  visitor(request: Request, server: Pick<Bun.Server<unknown>, "requestIP">): Visitor;
  /** What they present; `url` is the request's as the agent addressed it. */
  present(request: Request, visitor: Visitor, url: () => string, query: string): Presented | Fault;
}

const networkRefused = createFault("origin-refused", "This network is not served here", {
  reason: "network",
});
const nobodysConnection = createFault("origin-refused", "Connections come by TLS", {
  reason: "tunnel",
});

export function createPresenting(
  options: Pick<
    AgentsOptions,
    "trustedProxies" | "clientCertHeader" | "allowedNetworks" | "deniedNetworks"
  >,
  front: Pick<TlsFront, "endOf"> | undefined,
): Presenting {
  const peerAddress = createPeerAddress(options.trustedProxies);
  const allowed = createNetworks(options.allowedNetworks);
  const denied = createNetworks(options.deniedNetworks);

  function isServed(address: string): boolean {
    if (!denied.isEmpty && denied.has(address)) return false;
    return allowed.isEmpty || allowed.has(address);
  }

  return {
    visitor(request, server) {
      const { headers } = request;
      const connection = server.requestIP(request);
      const end = front?.endOf(connection?.port ?? 0);
      const direct = end?.address ?? connection?.address ?? "";
      const address = peerAddress.of(direct, headers.get("x-forwarded-for"));
      if (front !== undefined && end === undefined) {
        return { address, certificate: undefined, refusal: nobodysConnection };
      }
      if (!isServed(address)) return { address, certificate: undefined, refusal: networkRefused };
      const isPassedOn = options.clientCertHeader && peerAddress.isTrusted(direct);
      // A proxy's own certificate says nothing of the agent behind it.
      const certificate = isPassedOn
        ? readForwardedCertificate(headers.get("client-cert"))
        : end?.certificate;
      return { address, certificate, refusal: undefined };
    },
    present(request, { certificate }, url, query) {
      const { headers } = request;
      const credential = readCredential(headers.get("authorization"), query, certificate);
      if ("name" in credential) return credential;
      return { credential, evidence: readEvidence(request, url, certificate) };
    },
  };
}
