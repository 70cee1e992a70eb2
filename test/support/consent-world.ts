/**
 * Everything a user's consent needs, for real: the agents' issuer and a server's authorization server (oidc-provider), a
 * server that takes its tokens, and the gateway as an executable. Asserts nothing.
 */
import { type AdminClient, createAdminClient } from "./admin-client.ts";
import {
  type AuthorizationServer,
  type AuthorizationServerOptions,
  startAuthorizationServer,
  userCookie,
} from "./authorization-server.ts";
import { type Browser, createBrowser } from "./browser.ts";
import { startHttpV2 } from "./fake-servers/network.ts";
import { freePort } from "./free-port.ts";
import { type GatewayProcess, startGateway } from "./gateway-process.ts";
import { modernCall, type RpcAnswer } from "./modern-agent.ts";
import { type Guarded, startGuarded } from "./oauth-servers.ts";
import { registerHttpServer } from "./operator.ts";

export const loginSecret = "canary-login-secret-0123456789-abcdef";
export const serverClientSecret = "canary-server-client-secret-0123456789";

export interface ConsentWorld extends AsyncDisposable {
  readonly issuer: AuthorizationServer;
  readonly authority: AuthorizationServer;
  readonly guard: Guarded;
  readonly gateway: GatewayProcess;
  readonly admin: AdminClient;
  readonly publicUrl: string;
  /** The configuration and arguments that it was started with. */
  readonly start: Parameters<typeof startGateway>[0];
  /** Of an agent whose OAuth client is `agent`, or another. */
  tokenOf(user: string, client?: "other-agent"): Promise<string>;
  /** Logged in, at both places, as this user as soon as somebody asks. */
  browserOf(user: string, atServer?: string): Browser;
  echo(token: string, more?: CallMore): Promise<RpcAnswer>;
}

export interface CallMore {
  readonly base?: string;
  readonly server?: string;
  readonly scope?: string;
  readonly capabilities?: object;
  readonly requestState?: unknown;
  readonly inputResponses?: object;
  readonly method?: string;
}

const scopes = ["read", "write", "extra"];

export async function startConsentWorld(
  options: {
    readonly dataDir?: string;
    readonly from?: "source";
    readonly env?: Readonly<Record<string, string>>;
    readonly authority?: Partial<AuthorizationServerOptions>;
    readonly scopesSupported?: readonly string[];
    readonly auth?: object;
  } = {},
): Promise<ConsentWorld> {
  const stack = new AsyncDisposableStack();
  const port = freePort();
  const publicUrl = `http://127.0.0.1:${port}`;
  const web = { application_type: "native", response_types: ["code"] };
  const grants = { grant_types: ["authorization_code", "refresh_token"] };
  const issuer = stack.use(
    await startAuthorizationServer({
      user: "ada",
      format: "jwt",
      scopes: ["mcp"],
      clients: [
        {
          ...{ ...web, ...grants, client_id: "gateway-login", client_secret: loginSecret },
          redirect_uris: [`${publicUrl}/consent/login`],
        },
        {
          ...{ ...web, ...grants, client_id: "other-agent", token_endpoint_auth_method: "none" },
          redirect_uris: ["http://127.0.0.1:1/callback"],
        },
      ],
    }),
  );
  const authority = stack.use(
    await startAuthorizationServer({
      user: "ada-at-files",
      format: "jwt",
      scopes,
      clients: [
        {
          ...{ ...web, ...grants, client_id: "gateway-files", client_secret: serverClientSecret },
          redirect_uris: [`${publicUrl}/consent/callback`],
        },
      ],
      ...options.authority,
    }),
  );
  const fake = await startHttpV2();
  stack.defer(() => fake.stop());
  const { scopesSupported = ["read"] } = options;
  const guard = stack.use(await startGuarded(fake.url, authority, { scopesSupported }));
  const start = {
    dataDir: options.dataDir,
    from: options.from,
    env: options.env,
    args: ["--port", String(port)],
    config: {
      // A call that waits for its user answers in one piece, which is easier to read.
      agents: { public_url: publicUrl, insecure_cookies: true, sse_after_ms: 120_000 },
      identity: {
        jwt: {
          issuers: [
            {
              issuer: issuer.issuer,
              audiences: ["https://gateway.example"],
              algorithms: ["ES256"],
              allow_private_network: true,
              login: { client_id: "gateway-login", client_secret: loginSecret },
            },
          ],
        },
      },
    },
  } as const;
  const gateway = stack.use(await startGateway(start));
  const admin = stack.use(createAdminClient(gateway));
  await registerHttpServer(admin, "files", guard.url, {
    auth: {
      oauth: {
        grant: "OAUTH_GRANT_AUTHORIZATION_CODE",
        client_id: "gateway-files",
        client_secret: serverClientSecret,
        issuer: authority.issuer,
        ...options.auth,
      },
    },
  });
  await admin.call("PolicyService", "CreateRole", {
    role: {
      name: "adder",
      permissions: [{ resource: "mcp:*:*", actions: ["POLICY_ACTION_ANY"] }],
    },
  });
  const resource = "https://gateway.example";
  return {
    ...{ issuer, authority, guard, gateway, admin, publicUrl, start },
    async tokenOf(user, client) {
      const code = await issuer.authorize({ resource, scope: "mcp", user, client });
      return issuer.exchange(code, resource, client);
    },
    browserOf(user, atServer = user) {
      const browser = createBrowser();
      browser.setCookie(issuer.issuer, userCookie, user);
      browser.setCookie(authority.issuer, userCookie, atServer);
      return browser;
    },
    echo: (token, more = {}) =>
      modernCall({
        base: more.base ?? gateway.agents,
        ...(more.scope !== undefined && { scope: more.scope }),
        token,
        method: more.method ?? "tools/call",
        params: {
          ...(more.method === undefined && {
            name: more.scope === undefined ? `${more.server ?? "files"}__echo` : "echo",
            arguments: { text: "hello" },
          }),
          ...(more.requestState !== undefined && { requestState: more.requestState }),
          ...(more.inputResponses !== undefined && { inputResponses: more.inputResponses }),
          _meta: {
            "io.modelcontextprotocol/clientCapabilities": more.capabilities ?? {
              elicitation: { url: {} },
            },
          },
        },
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The page that an answer sends its user to. */
export function linkOf(answer: RpcAnswer): string {
  const requests = answer.result?.inputRequests as
    | Readonly<Record<string, { readonly params: { readonly url: string } }>>
    | undefined;
  const asked = Object.values(requests ?? {})[0]?.params.url;
  const named = answer.error?.data?.url;
  const url = asked ?? (typeof named === "string" ? named : undefined);
  if (url === undefined) throw new Error(`no link in ${answer.status}: ${answer.text}`);
  return url;
}

/** The whole way of a willing user. */
export async function consent(browser: Browser, link: string) {
  return browser.press(await browser.open(link), "allow");
}
