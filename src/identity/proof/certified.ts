/**
 * Clients that their certificate alone identifies: no token, the connection's own proof. The principal lives as long
 * as the certificate and the registration that names it; changing either ends what was opened.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../../lib/clock.ts";
import type { Principal } from "../principal.ts";
import { type CallerCertificate, readCertificate } from "./certificate.ts";

export interface CertifiedClient {
  readonly id: string;
  readonly tenant?: string | undefined;
  readonly enabled: boolean;
  readonly roles: readonly string[];
  readonly certificates?: readonly string[] | undefined;
}

type Clients = ReadonlyMap<string, CertifiedClient>;

export interface CertifiedClients {
  /** The client with this certificate; or why there is none, for the record. */
  identify(der: Uint8Array, clients: Clients): Principal | { readonly reason: string };
  /** Undefined where the principal was not made here; else whether it still stands. */
  stillValid(principal: Principal, clients: Clients): boolean | undefined;
}

const principalsMax = 10_000;

export function createCertifiedClients(clock: Clock): CertifiedClients {
  const indexes = new WeakMap<Clients, ReadonlyMap<string, CertifiedClient>>();
  const principals = new LRUCache<
    string,
    { readonly client: CertifiedClient; readonly principal: Principal }
  >({ max: principalsMax });
  const certificates = new WeakMap<Principal, CallerCertificate>();

  function indexOf(clients: Clients): ReadonlyMap<string, CertifiedClient> {
    const known = indexes.get(clients);
    if (known !== undefined) return known;
    const index = new Map<string, CertifiedClient>();
    for (const client of clients.values()) {
      for (const name of client.certificates ?? []) index.set(name, client);
    }
    indexes.set(clients, index);
    return index;
  }

  function findClient(certificate: CallerCertificate, clients: Clients) {
    const index = indexOf(clients);
    const found = new Set<CertifiedClient>();
    for (const name of certificate.names) {
      const client = index.get(name);
      if (client !== undefined) found.add(client);
    }
    const [only, ...more] = found;
    return more.length === 0 ? only : undefined;
  }

  const isInTime = ({ validFromMs, validToMs }: CallerCertificate) =>
    validFromMs <= clock.nowMs() && clock.nowMs() < validToMs;

  function principalOf(client: CertifiedClient, certificate: CallerCertificate): Principal {
    const key = `${client.id} ${certificate.sha256}`;
    const known = principals.get(key);
    if (known?.client === client) return known.principal;
    const principal: Principal = Object.freeze({
      kind: "client",
      id: `client:${client.id}`,
      clientId: client.id,
      subject: undefined,
      issuer: undefined,
      tenant: client.tenant,
      workspace: undefined,
      roles: client.roles,
      groups: [],
      scopes: undefined,
      acr: undefined,
      amr: [],
      authenticatedAtMs: undefined,
      claims: undefined,
      expiresAtMs: certificate.validToMs,
      credentialDigest: `certificate:${certificate.sha256}`,
    });
    principals.set(key, { client, principal });
    certificates.set(principal, certificate);
    return principal;
  }

  return {
    identify(der, clients) {
      const certificate = readCertificate(der);
      if (certificate === undefined) return { reason: "certificate-unreadable" };
      if (!isInTime(certificate)) return { reason: "certificate-expired" };
      const client = findClient(certificate, clients);
      if (client === undefined) return { reason: "certificate-unknown" };
      return client.enabled ? principalOf(client, certificate) : { reason: "client-disabled" };
    },
    stillValid(principal, clients) {
      const certificate = certificates.get(principal);
      if (certificate === undefined) return undefined;
      const client = findClient(certificate, clients);
      if (client === undefined || client.id !== principal.clientId) return false;
      if (client.tenant !== principal.tenant) return false;
      return client.enabled && isInTime(certificate);
    },
  };
}
