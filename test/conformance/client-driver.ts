/**
 * The client the suite starts for each of its mock servers: it registers that server with the running gateway and
 * drives it through the gateway with an SDK client of the revision's era. What the mock then sees is the gateway's doing.
 * Started by the suite as `client-driver.ts <url of the mock server>`.
 */
import { type AdminMessage, createAdminClient } from "../support/admin-client.ts";
import { registerHttpServer } from "../support/operator.ts";
import { connectAskedAgent } from "./asked-agent.ts";
import { stories, visitEverything } from "./client-stories.ts";

const needed = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};

const serverUrl = process.argv[2] ?? "";
const scenario = needed("MCP_CONFORMANCE_SCENARIO");
const revision = needed("MCP_CONFORMANCE_PROTOCOL_VERSION");
const context: unknown = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const era = revision >= "2026-07-28" ? "modern" : "legacy";

const scope = `mock-${scenario.replace(/[^a-z0-9]+/gi, "-").toLowerCase()}-${era}`.slice(0, 63);
const adminToken = needed("CONFORMANCE_ADMIN_TOKEN");
using admin = createAdminClient({ admin: needed("CONFORMANCE_ADMIN"), adminToken });
await registerHttpServer(admin, scope, serverUrl, await findAuth());
try {
  const url = new URL(`${needed("CONFORMANCE_AGENTS")}/${scope}/mcp`);
  await using agent = await connectAskedAgent(era, url);
  await (stories[scenario] ?? visitEverything)(agent, context);
} finally {
  // The mock waits for its last connection before it stops, and the gateway keeps one to follow its changes.
  await admin.call("ServerService", "DeleteServer", { name: scope });
}

/** What an operator registers for a client of the mock's authorization server, whose issuer they know beforehand. */
async function findAuth(): Promise<AdminMessage> {
  if (!scenario.startsWith("auth/client-credentials-")) return {};
  const client = context as Readonly<Record<string, string | undefined>>;
  const { origin, pathname } = new URL(serverUrl);
  const metadata = `${origin}/.well-known/oauth-protected-resource${pathname}`;
  const { authorization_servers } = (await (await fetch(metadata)).json()) as {
    readonly authorization_servers: readonly string[];
  };
  const oauth = {
    grant: "OAUTH_GRANT_CLIENT_CREDENTIALS",
    client_id: client.client_id,
    client_secret: client.client_secret,
    private_key_pem: client.private_key_pem,
    issuer: authorization_servers[0],
  };
  return { auth: { oauth } };
}
