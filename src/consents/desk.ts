/**
 * Leads a user's browser from a link to a grant: log in as the user the link was made for, decide, authorize at the
 * server's authorization server, come back. Knows no HTTP: `agents/consent/` shows what is said here, and every answer is
 * a value. Nothing is kept before its record is durable.
 */
import { timingSafeEqual } from "node:crypto";
import type { AuditLog, RecordDraft } from "../audit/record.ts";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { randomSecret } from "../lib/id.ts";
import type { AccessAsked, UserAuthorization } from "../servers/user-access.ts";
import type { Log } from "../telemetry/log.ts";
import type { BrowserState, BrowserStates } from "./browser-state.ts";
import type { ConsentLinks } from "./links.ts";
import type { Passes } from "./passes.ts";

/** What the user is asked, in plain text. */
export interface ConsentQuestion {
  readonly server: string;
  readonly client: string | undefined;
  readonly user: string;
  readonly scopes: readonly string[];
  readonly newScopes: readonly string[];
  /** Of the authorization server they go to next. */
  readonly issuer: string;
}

export type Refusal =
  | "link-unknown"
  | "login-failed"
  | "other-user"
  | "expired"
  | "forged"
  | "server-unusable"
  | "not-authorized"
  | "unavailable";

export type ConsentStep =
  /** On to the login; `cookie` is kept under the flow's name. */
  | { readonly kind: "leave"; readonly flow: string; readonly cookie: string; readonly url: string }
  /** Logged in: on to the question. */
  | { readonly kind: "ask"; readonly flow: string; readonly cookie: string }
  | {
      readonly kind: "question";
      readonly flow: string;
      readonly csrf: string;
      readonly question: ConsentQuestion;
    }
  /** Allowed: on to the authorization server. */
  | { readonly kind: "go"; readonly flow: string; readonly cookie: string; readonly url: string }
  | { readonly kind: "done" | "denied"; readonly flow: string; readonly server: string }
  | { readonly kind: "refused"; readonly flow: string | undefined; readonly why: Refusal };

export interface ConsentDesk {
  begin(link: string): Promise<ConsentStep>;
  loggedIn(flow: string, cookie: string | undefined, params: URLSearchParams): Promise<ConsentStep>;
  show(flow: string, cookie: string | undefined): Promise<ConsentStep>;
  decide(
    flow: string,
    cookie: string | undefined,
    csrf: string,
    isAllowed: boolean,
  ): Promise<ConsentStep>;
  back(flow: string, cookie: string | undefined, params: URLSearchParams): Promise<ConsentStep>;
}

/** What is decided on. */
export interface Decision {
  readonly asked: AccessAsked;
  readonly scopes: readonly string[];
  readonly issuer: string;
}

/** What is waited for. */
export interface Sent extends Decision {
  readonly verifier: string;
}

export interface ConsentDeskDeps {
  readonly links: Pick<ConsentLinks, "passOf">;
  readonly linkPasses: Passes<AccessAsked>;
  readonly decisions: Passes<Decision>;
  readonly awaited: Passes<Sent>;
  readonly states: BrowserStates;
  readonly logins: {
    begin(
      issuer: string,
      redirectUri: string,
      state: string,
    ): Promise<Extract<BrowserState, { step: "login" }>["begun"] & { readonly url: string }>;
    finish(
      begun: Extract<BrowserState, { step: "login" }>["begun"],
      redirectUri: string,
      params: URLSearchParams,
    ): Promise<string>;
  };
  readonly authorization: (server: string) => UserAuthorization | undefined;
  readonly publicUrl: string;
  readonly audit: Pick<AuditLog, "append">;
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
}

const flowBytes = 9;
const scopesCharsMax = 1_024;
const single = ["code", "state", "iss", "error"] as const;

export function createConsentDesk(deps: ConsentDeskDeps): ConsentDesk {
  const { linkPasses, decisions, awaited, states, logins, clock, log } = deps;
  const loginUri = `${deps.publicUrl}/consent/login`;
  const returnUri = `${deps.publicUrl}/consent/callback`;

  async function record(
    event: "consent.granted" | "consent.denied",
    { caller, server }: AccessAsked,
    facts: RecordDraft["facts"],
  ): Promise<void> {
    const { id: principal, tenant, clientId: client } = caller;
    await deps.audit.append(
      {
        event,
        class: "A",
        timeMs: clock.nowMs(),
        facts: { server, tenant, ...facts },
        details: { principal, client },
      },
      "synced",
    );
  }

  async function begin(link: string): Promise<ConsentStep> {
    const pass = deps.links.passOf(link);
    const asked = pass === undefined ? undefined : await linkPasses.read(pass);
    if (pass === undefined || asked?.caller.issuer === undefined) return refused("link-unknown");
    const flow = randomSecret(flowBytes);
    const state = `${flow}.${randomSecret()}`;
    const { url, ...begun } = await logins.begin(asked.caller.issuer, loginUri, state);
    const cookie = states.seal(flow, { step: "login", link: pass, state, begun });
    return { kind: "leave", flow, cookie, url };
  }

  async function loggedIn(
    flow: string,
    cookie: string | undefined,
    params: URLSearchParams,
  ): Promise<ConsentStep> {
    const browser = states.open(flow, "login", cookie);
    if (browser === undefined) return refused("expired", flow);
    if (!isAnswer(params, browser.state)) return refused("forged", flow);
    let user: string;
    try {
      user = await logins.finish(browser.begun, loginUri, params);
    } catch (error) {
      log.info("consent.login-failed", { reason: reasonOf(error) });
      return refused("login-failed", flow);
    }
    const asked = await linkPasses.take(browser.link);
    if (asked === undefined) return refused("link-unknown", flow);
    if (user !== asked.caller.id) {
      // Somebody was sent another user's link, or is logged in as somebody else (AZ-20). The link is used up.
      await record("consent.denied", asked, { status: "denied", reason: "other-user" });
      return refused("other-user", flow);
    }
    const authorization = deps.authorization(asked.server);
    if (authorization === undefined) return refused("server-unusable", flow);
    const { issuer, scopes } = await authorization.describe(asked);
    const pass = await decisions.issue({ asked, issuer, scopes });
    const csrf = randomSecret();
    return { kind: "ask", flow, cookie: states.seal(flow, { step: "decide", pass, csrf }) };
  }

  async function decide(
    flow: string,
    cookie: string | undefined,
    csrf: string,
    isAllowed: boolean,
  ): Promise<ConsentStep> {
    const browser = states.open(flow, "decide", cookie);
    if (browser === undefined) return refused("expired", flow);
    if (!isSame(csrf, browser.csrf)) return refused("forged", flow);
    const decision = await decisions.take(browser.pass);
    if (decision === undefined) return refused("expired", flow);
    const { asked, scopes } = decision;
    const authorization = deps.authorization(asked.server);
    if (authorization === undefined) return refused("server-unusable", flow);
    if (!isAllowed) {
      await record("consent.denied", asked, { status: "denied", reason: "user" });
      authorization.deny(asked);
      return { kind: "denied", flow, server: asked.server };
    }
    const state = `${flow}.${randomSecret()}`;
    const { url, verifier, issuer } = await authorization.begin({
      redirectUri: returnUri,
      state,
      scopes,
    });
    // The user agreed to the one whose name they read.
    if (issuer !== decision.issuer) return refused("server-unusable", flow);
    const pass = await awaited.issue({ ...decision, verifier });
    const next = states.seal(flow, { step: "return", pass, state });
    return { kind: "go", flow, cookie: next, url };
  }

  async function back(
    flow: string,
    cookie: string | undefined,
    params: URLSearchParams,
  ): Promise<ConsentStep> {
    const browser = states.open(flow, "return", cookie);
    if (browser === undefined) return refused("expired", flow);
    if (!isAnswer(params, browser.state)) return refused("forged", flow);
    const waited = await awaited.take(browser.pass);
    if (waited === undefined) return refused("expired", flow);
    const { asked, scopes, verifier, issuer } = waited;
    const authorization = deps.authorization(asked.server);
    if (authorization === undefined) return refused("server-unusable", flow);
    let finished: Awaited<ReturnType<UserAuthorization["finish"]>>;
    try {
      const redirectUri = returnUri;
      finished = await authorization.finish({
        asked,
        params,
        verifier,
        issuer,
        scopes,
        redirectUri,
      });
    } catch (error) {
      const reason = reasonOf(error);
      log.warn("consent.not-authorized", { server: asked.server, reason });
      await record("consent.denied", asked, { status: "denied", reason, issuer });
      authorization.deny(asked);
      return refused("not-authorized", flow);
    }
    const given = finished.scopes.join(" ").slice(0, scopesCharsMax);
    await record("consent.granted", asked, { status: "granted", issuer, scopes: given });
    await finished.save();
    return { kind: "done", flow, server: asked.server };
  }

  /** What goes wrong at others, or with the log, is told in one sentence; the reason is in the log. */
  async function guarded(flow: string | undefined, step: Promise<ConsentStep>) {
    try {
      return await step;
    } catch (error) {
      const fault = error instanceof GatewayError ? error.fault : undefined;
      log.warn("consent.failed", { reason: reasonOf(error) });
      const isServer = fault?.name.startsWith("upstream-") === true;
      return refused(isServer ? "server-unusable" : "unavailable", flow);
    }
  }

  return {
    begin: (link) => guarded(undefined, begin(link)),
    loggedIn: (flow, cookie, params) => guarded(flow, loggedIn(flow, cookie, params)),
    show: (flow, cookie) =>
      guarded(
        flow,
        (async () => {
          const browser = states.open(flow, "decide", cookie);
          const decision = browser && (await decisions.read(browser.pass));
          if (browser === undefined || decision === undefined) return refused("expired", flow);
          const { asked, scopes, issuer } = decision;
          const { caller, server, moreScopes: newScopes } = asked;
          const question = { server, client: caller.clientId, user: caller.id };
          return {
            kind: "question",
            flow,
            csrf: browser.csrf,
            question: { ...question, scopes, newScopes, issuer },
          } as const;
        })(),
      ),
    decide: (flow, cookie, csrf, isAllowed) => guarded(flow, decide(flow, cookie, csrf, isAllowed)),
    back: (flow, cookie, params) => guarded(flow, back(flow, cookie, params)),
  };
}

function refused(why: Refusal, flow?: string): ConsentStep {
  return { kind: "refused", flow, why };
}

/** With the state it was sent away with, and nothing said twice. */
function isAnswer(params: URLSearchParams, state: string): boolean {
  if (single.some((name) => params.getAll(name).length > 1)) return false;
  return isSame(params.get("state") ?? "", state);
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function reasonOf(error: unknown): string {
  const fault = error instanceof GatewayError ? error.fault : undefined;
  return (fault?.reason ?? fault?.name ?? String(error)).slice(0, 200);
}
