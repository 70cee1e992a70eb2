/**
 * Links to the consent page. A link says nothing and logs nobody in: whoever opens it must log in as the user it was made
 * for (AZ-20). Who asks again while a link is out gets the same one. Links that are not ours are told by their seal,
 * without asking the database.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { AccessAsked, AccessLinks } from "../servers/user-access.ts";
import { type Passes, passLifetimeMs } from "./passes.ts";

export interface ConsentLinks extends AccessLinks {
  /** The pass that a link stands for; undefined where it is none of ours. */
  passOf(link: string): string | undefined;
}

interface Pending {
  readonly principal: string;
  readonly pass: string;
  readonly untilMs: number;
}

const linksMax = 10_000;
const linksPerUserMax = 16;
/** A link with less time left is not given out again. */
const leftMsMin = 240_000;
const sealChars = 22;

export function createConsentLinks(deps: {
  readonly passes: Passes<AccessAsked>;
  /** A key that nodes of one database share. */
  readonly key: Buffer;
  /** Without a slash at the end; undefined where nobody can log in. */
  readonly publicUrl: string | undefined;
  readonly canLogIn: (issuer: string) => boolean;
  readonly clock: Clock;
}): ConsentLinks {
  const { passes, clock, publicUrl } = deps;
  /** Those of this node, in the order they expire. */
  const pending = new Map<string, Pending>();

  const sealOf = (pass: string) =>
    createHmac("sha256", deps.key)
      .update(`consent link ${pass}`)
      .digest("base64url")
      .slice(0, sealChars);

  function dropExpired(): void {
    for (const [key, { untilMs }] of pending) {
      if (untilMs > clock.monotonicMs()) return;
      pending.delete(key);
    }
  }

  function refuseTooMany(principal: string): void {
    const own = [...pending.values()].filter((one) => one.principal === principal).length;
    if (pending.size < linksMax && own < linksPerUserMax) return;
    const message = "Too many consents are asked for already: answer one of them first";
    const more = { retryAfterMs: 60_000, reason: "consent-links" };
    throw new GatewayError("too-many-in-flight", message, more);
  }

  async function passFor(asked: AccessAsked): Promise<string> {
    const { caller, server, moreScopes } = asked;
    const { id, tenant, clientId } = caller;
    const key = JSON.stringify([id, tenant, clientId, server, moreScopes]);
    dropExpired();
    const known = pending.get(key);
    const isYoung = known !== undefined && known.untilMs - clock.monotonicMs() > leftMsMin;
    // It may have been used meanwhile, here or on another node.
    if (isYoung && (await passes.read(known.pass)) !== undefined) return known.pass;
    pending.delete(key);
    refuseTooMany(id);
    const pass = await passes.issue(asked);
    pending.set(key, { principal: id, pass, untilMs: clock.monotonicMs() + passLifetimeMs });
    return pass;
  }

  return {
    async make({ caller, server, moreScopes }) {
      if (publicUrl === undefined || caller.issuer === undefined) return undefined;
      if (!deps.canLogIn(caller.issuer)) return undefined;
      const { id, tenant, clientId, issuer } = caller;
      const pass = await passFor({ caller: { id, tenant, clientId, issuer }, server, moreScopes });
      return `${publicUrl}/consent?link=${pass}.${sealOf(pass)}`;
    },
    passOf(link) {
      const [pass = "", seal = ""] = link.split(".");
      const own = Buffer.from(sealOf(pass));
      const given = Buffer.from(seal);
      return own.length === given.length && timingSafeEqual(own, given) ? pass : undefined;
    },
  };
}
