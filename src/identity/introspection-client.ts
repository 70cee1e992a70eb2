/**
 * Asks an authorization server about one token (RFC 7662), as the client the operator registered there. Says what the
 * server said; what is remembered, and for how long, is in `introspection.ts`.
 */
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { createClientAuthentication, type OwnClient } from "./client-authentication.ts";
import { type Dial, fetchText } from "./fetch-text.ts";
import { decodeJsonObject } from "./jwt-format.ts";

export interface IntrospectionConfig extends OwnClient {
  readonly url: string;
  /** Whether tokens that are no JWTs are this issuer's. At most one issuer's may be. */
  readonly opaqueTokens?: boolean | undefined;
  /** Longest an answer is believed without asking again. Default 30. */
  readonly rememberSeconds?: number | undefined;
}

/** The claims of an active token; undefined where the server says it is not active. */
export type Introspected = Readonly<Record<string, unknown>> | undefined;

export interface IntrospectionClient {
  /** Rejects where the server cannot be asked or does not answer as RFC 7662 says. */
  ask(token: string): Promise<Introspected>;
}

const bytesMax = 64 * 1024;

export function createIntrospectionClient(deps: {
  readonly config: IntrospectionConfig;
  readonly issuer: string;
  readonly dial: Dial;
  readonly allowPrivateNetwork: boolean;
  readonly clock: Clock;
  readonly timeoutMs?: number;
}): IntrospectionClient {
  const { config, dial, allowPrivateNetwork } = deps;
  const what = `JWT issuer "${deps.issuer}": introspection`;
  const authenticate = createClientAuthentication(config, deps.issuer, deps.clock, what);
  if (!URL.canParse(config.url)) {
    throw new GatewayError("invalid-params", `${what}: url is not a URL`);
  }
  return {
    async ask(token) {
      const { authorization, form } = await authenticate();
      const text = await fetchText(
        {
          url: config.url,
          accept: "application/json",
          form: { token, token_type_hint: "access_token", ...form },
          authorization,
          allowPrivateNetwork,
          bytesMax,
          timeoutMs: deps.timeoutMs ?? 5_000,
        },
        dial,
      );
      const answer = decodeJsonObject(text);
      if (typeof answer?.active !== "boolean") throw new Error("answered with no introspection");
      return answer.active ? answer : undefined;
    },
  };
}
