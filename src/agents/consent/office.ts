/**
 * The consent pages over HTTP: which request is which step, and how each answer is shown. What a step means is
 * `consents/desk.ts`; HTML is `page.ts`. No script, no frame, nothing kept, no referrer to anybody else, and no address to
 * go to is ever read from a request.
 */
import type { ConsentDesk, ConsentStep } from "../../consents/desk.ts";
import { readBody } from "../body.ts";
import { securityHeaders } from "../http-response.ts";
import { createFlowCookies, isFlow } from "./cookies.ts";
import {
  contentPolicy,
  deniedPage,
  donePage,
  goPage,
  questionPage,
  refusalPage,
  refusalStatus,
} from "./page.ts";

/** Which of the three addresses was asked. */
export type ConsentPath = "page" | "login" | "callback";

export interface ConsentOffice {
  /** Undefined for a method that the address does not take. */
  serve(path: ConsentPath, request: Request, query: string): Promise<Response | undefined>;
}

const formBytesMax = 4_096;
const queryCharsMax = 8_192;
const formType = "application/x-www-form-urlencoded";

/** `origin` is the public URL's; `isSecure` is off for plain http on loopback alone. */
export function createConsentOffice(deps: {
  readonly desk: ConsentDesk;
  readonly origin: string;
  readonly isSecure: boolean;
}): ConsentOffice {
  const { desk } = deps;
  const cookies = createFlowCookies(deps.isSecure);

  function steps(
    path: ConsentPath,
    request: Request,
    params: URLSearchParams,
  ): Promise<ConsentStep> {
    const link = params.get("link");
    if (path === "page" && link !== null) return desk.begin(link);
    // What comes back from elsewhere begins with the name of its flow.
    const flow = path === "page" ? params.get("flow") : (params.get("state") ?? "").split(".")[0];
    if (flow === undefined || !isFlow(flow)) return Promise.resolve(unknown);
    const cookie = cookies.read(request, flow);
    if (path === "page") return desk.show(flow, cookie);
    if (path === "login") return desk.loggedIn(flow, cookie, params);
    return desk.back(flow, cookie, params);
  }

  async function decide(request: Request): Promise<ConsentStep> {
    const origin = request.headers.get("origin");
    // Browsers send it with every form; who sends none must still know the token.
    if (origin !== null && origin !== deps.origin) return forged;
    if (request.headers.get("content-type")?.split(";")[0]?.trim() !== formType) return forged;
    const body = await readBody(request, formBytesMax);
    if ("fault" in body) return forged;
    const form = new URLSearchParams(Buffer.from(new Uint8Array(body.bytes)).toString("utf8"));
    const flow = form.get("flow");
    const decision = form.get("decision");
    if (!isFlow(flow) || (decision !== "allow" && decision !== "deny")) return forged;
    const cookie = cookies.read(request, flow);
    return desk.decide(flow, cookie, form.get("token") ?? "", decision === "allow");
  }

  function show(step: ConsentStep, request: Request): Response {
    switch (step.kind) {
      case "leave":
        return redirect(step.url, [
          ...cookies.clearOld(request),
          cookies.set(step.flow, step.cookie),
        ]);
      case "ask":
        return redirect(`/consent?flow=${step.flow}`, [cookies.set(step.flow, step.cookie)]);
      case "question":
        return html(questionPage(step.question, step.flow, step.csrf), 200, []);
      case "go":
        return html(goPage(step.url), 200, [cookies.set(step.flow, step.cookie)]);
      case "done":
        return html(donePage(step.server), 200, [cookies.clear(step.flow)]);
      case "denied":
        return html(deniedPage(step.server), 200, [cookies.clear(step.flow)]);
      case "refused": {
        // Whoever makes something up ends nobody's flow.
        const isOver = step.flow !== undefined && step.why !== "forged";
        const cleared = isOver ? [cookies.clear(step.flow)] : [];
        return html(refusalPage(step.why), refusalStatus(step.why), cleared);
      }
      default:
        return step satisfies never;
    }
  }

  return {
    async serve(path, request, query) {
      if (path === "page" && request.method === "POST") return show(await decide(request), request);
      if (request.method !== "GET") return undefined;
      const params = new URLSearchParams(query.length > queryCharsMax ? "" : query);
      return show(await steps(path, request, params), request);
    },
  };
}

const unknown: ConsentStep = Object.freeze({
  kind: "refused",
  flow: undefined,
  why: "link-unknown",
});
const forged: ConsentStep = Object.freeze({ kind: "refused", flow: undefined, why: "forged" });

function redirect(location: string, cookieLines: readonly string[]): Response {
  return withCookies(new Headers({ ...securityHeaders, location }), null, 303, cookieLines);
}

function html(text: string, status: number, cookieLines: readonly string[]): Response {
  const headers = new Headers({
    ...securityHeaders,
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": contentPolicy,
    "cross-origin-opener-policy": "same-origin",
    // To others nothing at all; with `no-referrer` browsers would hide the form's origin from us too.
    "referrer-policy": "same-origin",
  });
  return withCookies(headers, text, status, cookieLines);
}

function withCookies(
  headers: Headers,
  text: string | null,
  status: number,
  lines: readonly string[],
): Response {
  for (const line of lines) headers.append("set-cookie", line);
  return new Response(text, { status, headers });
}
