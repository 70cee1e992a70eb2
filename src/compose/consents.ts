/**
 * Connects what it takes for users to let the gateway reach servers in their name: logins at their issuers, grants, links,
 * and the desk that leads them. Decides nothing.
 */
import { hkdfSync } from "node:crypto";
import { type ConsentOffice, createConsentOffice } from "../agents/consent/office.ts";
import type { AuditLog } from "../audit/record.ts";
import { createBrowserStates } from "../consents/browser-state.ts";
import { createConsentDesk, type Decision, type Sent } from "../consents/desk.ts";
import { type ConsentLinks, createConsentLinks } from "../consents/links.ts";
import { createPasses, type Passes, type Sealer } from "../consents/passes.ts";
import type { Logins } from "../identity/login.ts";
import type { Servers } from "../servers/client.ts";
import { createGrants, type Grants } from "../servers/credentials/grants.ts";
import type { SecretSealer } from "../servers/credentials/sealing.ts";
import type { AccessAsked, GrantSummary } from "../servers/user-access.ts";
import type { Store } from "../storage/store.ts";
import { consentUrl, createLogins, type IssuerDeps } from "./token-issuers.ts";

/** What it takes to ask for consents, keep them and record them. */
export interface ConsentDeps extends IssuerDeps {
  readonly store: Store;
  readonly audit: AuditLog;
}

export interface Consents {
  readonly grants: Grants;
  readonly links: ConsentLinks;
  readonly linkPasses: Passes<AccessAsked>;
  readonly logins: Logins;
  readonly sealer: Sealer;
}

export function createConsents(
  deps: ConsentDeps,
  sealer: SecretSealer,
  tokenKey: Buffer,
): Consents {
  const { config, clock, log, store, audit } = deps;
  const logins = createLogins(deps);
  const key = Buffer.from(hkdfSync("sha256", tokenKey, "", "mcp-gateway consent links", 32));
  const linkPasses = createPasses<AccessAsked>({
    ...{ step: "link", sealer, clock },
    store: store.passes,
  });
  const { publicUrl } = config.agents;
  const links = createConsentLinks({
    passes: linkPasses,
    key,
    publicUrl: publicUrl === undefined ? undefined : new URL(publicUrl).origin,
    canLogIn: logins.has,
    clock,
  });
  const grants = createGrants({
    store,
    sealer,
    clock,
    staleMs: config.policy.maxStaleSeconds * 1000,
    onOver(grant) {
      log.info("consent.over", { server: grant.server });
      void recordRevoked({ audit, clock }, grant, "authorization-server").catch(() => {});
    },
  });
  return { grants, links, linkPasses, logins, sealer };
}

/** Undefined where no issuer's users can log in. */
export function createOffice(
  deps: ConsentDeps & { readonly servers: Servers; readonly consents: Consents },
): ConsentOffice | undefined {
  const { config, clock, log, audit, servers, store, consents } = deps;
  const publicUrl = consentUrl(config);
  if (publicUrl === undefined) return undefined;
  const { sealer } = consents;
  const passes = { store: store.passes, sealer, clock };
  const desk = createConsentDesk({
    ...consents,
    decisions: createPasses<Decision>({ step: "decision", ...passes }),
    awaited: createPasses<Sent>({ step: "return", ...passes }),
    states: createBrowserStates(sealer, clock),
    authorization: servers.authorization,
    publicUrl: publicUrl.origin,
    ...{ audit, clock, log },
  });
  return createConsentOffice({
    desk,
    origin: publicUrl.origin,
    isSecure: publicUrl.protocol === "https:",
  });
}

/** By whom: an operator, or the authorization server. */
export async function recordRevoked(
  { audit, clock }: Pick<ConsentDeps, "audit" | "clock">,
  { server, tenant, principal, client, issuer }: GrantSummary,
  reason: "operator" | "authorization-server",
): Promise<void> {
  await audit.append(
    {
      event: "consent.revoked",
      class: "A",
      timeMs: clock.nowMs(),
      facts: { server, tenant, status: "revoked", reason, issuer },
      details: { principal, client },
    },
    "synced",
  );
}
