/**
 * An agent of the SDK that logs in by OAuth when the gateway asks it to: it follows the 401's metadata to the
 * authorization server, sends its user there (who consents at once), and comes back with a token for the endpoint.
 */
import { auth, type OAuthClientProvider } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { OAuthTokens } from "@modelcontextprotocol/sdk/shared/auth.js";
import type { AuthorizationServer } from "./authorization-server.ts";

export interface OAuthAgent {
  readonly client: Client;
  readonly tokens: () => OAuthTokens;
  /** Where the user was sent. */
  readonly sentTo: readonly URL[];
  /** Gets new tokens by the refresh token alone. */
  refresh(): Promise<OAuthTokens>;
  close(): Promise<void>;
}

export async function connectByOAuth(
  url: string,
  server: AuthorizationServer,
): Promise<OAuthAgent> {
  const sentTo: URL[] = [];
  const codes: string[] = [];
  let tokens: OAuthTokens | undefined;
  let verifier = "";
  const provider: OAuthClientProvider = {
    redirectUrl: server.client.redirectUri,
    clientMetadata: { redirect_uris: [server.client.redirectUri] },
    clientInformation: () => ({ client_id: server.client.id }),
    tokens: () => tokens,
    saveTokens(saved) {
      tokens = saved;
    },
    async redirectToAuthorization(where) {
      sentTo.push(where);
      codes.push((await server.browse(where)).get("code") ?? "");
    },
    saveCodeVerifier(saved) {
      verifier = saved;
    },
    codeVerifier: () => verifier,
  };
  const transport = () =>
    new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  const client = new Client({ name: "oauth-agent", version: "1" });
  const first = transport();
  const refused = await client.connect(first).catch((error: Error) => error.constructor.name);
  if (refused !== "UnauthorizedError") throw new Error(`not asked to log in, but: ${refused}`);
  await first.finishAuth(codes[0] ?? "");
  await client.connect(transport());
  const needTokens = () => {
    if (tokens === undefined) throw new Error("there are no tokens");
    return tokens;
  };
  return {
    client,
    tokens: needTokens,
    sentTo,
    async refresh() {
      await auth(provider, { serverUrl: url });
      return needTokens();
    },
    close: () => client.close(),
  };
}
