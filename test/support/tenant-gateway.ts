/**
 * A gateway with two tenants on it, set up by their own operators, who give the same names to their roles, bindings and
 * rules; a server of each and a common one, all with the same tools; and one user who is a member of both. Asserts
 * nothing.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { SignJWT } from "jose";
import { type AdminClient, createAdminClient } from "./admin-client.ts";
import { type GatewayProcess, startGateway } from "./gateway-process.ts";
import { registerClient, registerHttpServer } from "./operator.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { startTinyServer, type TinyServer } from "./tiny-server.ts";

/** As alike as two tenants can be. */
export const tenants = { acme: "acme", eu: "acme:eu" } as const;
export type TenantName = keyof typeof tenants;
export const tenantNames = Object.keys(tenants) as TenantName[];
export const otherOf = (name: TenantName): TenantName => (name === "acme" ? "eu" : "acme");

export interface Tenant {
  readonly operator: AdminClient;
  readonly server: TinyServer;
  /** Of a registered client that holds the role `analyst`. */
  readonly token: string;
}

export interface TenantGateway extends AsyncDisposable {
  readonly gateway: GatewayProcess;
  /** The bootstrap administrator. */
  readonly everyones: AdminClient;
  readonly shared: TinyServer;
  readonly of: Readonly<Record<TenantName, Tenant>>;
  /** One and the same user of one issuer, as a member of a tenant. */
  userToken(name: TenantName, more?: object): Promise<string>;
}

export const issuer = "https://issuer.example";
const audience = "https://gateway.example/mcp";

const operatorToken = (name: TenantName) => `the-operator-of-${name}-has-a-token-of-32-characters`;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const cacheable = (cache_public: boolean) => ({
  tool_settings: [{ tool: "echo", read_only: true, cache_ttl_ms: 60_000, cache_public }],
});

export async function startTenantGateway(): Promise<TenantGateway> {
  await using stack = new AsyncDisposableStack();
  const secret = Buffer.from(crypto.getRandomValues(Buffer.alloc(32)).toString("hex"));
  const folder = stack.use(temporaryFolder("tenants"));
  const secretFile = join(folder.path, "secret");
  await Bun.write(secretFile, secret);
  await Bun.$`chmod 600 ${secretFile}`.quiet();
  const gateway = stack.use(await startGateway({ config: configWith(secretFile) }));
  const everyones = stack.use(createAdminClient(gateway));
  const shared = stack.use(startTinyServer());
  await registerHttpServer(everyones, "shared", shared.url, cacheable(true));
  const of = {} as Record<TenantName, Tenant>;
  for (const name of tenantNames) of[name] = await setUpTenant(stack, gateway, name);
  const kept = stack.move();
  return {
    gateway,
    everyones,
    shared,
    of,
    userToken: (name, more = {}) =>
      new SignJWT({ sub: "ann", org: { id: tenants[name] }, groups: ["staff"], ...more })
        .setProtectedHeader({ alg: "HS256" })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime("10m")
        .sign(secret),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function configWith(secretFile: string) {
  const operators = tenantNames.map((name) => ({
    name: `${name}-admin`,
    roles: ["admin"],
    tenant: tenants[name],
    token_sha256: sha256(operatorToken(name)),
  }));
  const keys = { algorithms: ["HS256"], secret_file: secretFile };
  return {
    admin: { operators },
    // What a busy machine's disk takes is not what this is about.
    audit: { deadline_ms: 10_000 },
    identity: {
      jwt: { issuers: [{ issuer, audiences: [audience], ...keys, tenant_claim: "org.id" }] },
    },
    servers: { allow_private_network: true },
  };
}

/** Everything by the tenant's own operator, under names that the other tenant uses too where that can be. */
async function setUpTenant(
  stack: AsyncDisposableStack,
  { admin }: GatewayProcess,
  name: TenantName,
): Promise<Tenant> {
  const operator = stack.use(createAdminClient({ admin, adminToken: operatorToken(name) }));
  const server = stack.use(startTinyServer());
  await registerHttpServer(operator, `${name}-tools`, server.url, cacheable(false));
  // The same role means all tools in one tenant, and one tool of each server in the other.
  const resource = name === "acme" ? "mcp:*:*" : "mcp:*:echo";
  const permissions = [{ resource, actions: ["POLICY_ACTION_INVOKE_TOOL"] }];
  await operator.call("PolicyService", "CreateRole", { role: { name: "analyst", permissions } });
  await operator.call("PolicyService", "CreateBinding", {
    binding: { name: "staff", roles: ["analyst"], groups: ["staff"] },
  });
  // The same rule speaks of different servers.
  const rule = { name: "closed", effect: "RULE_EFFECT_DENY", enabled: true };
  const condition =
    name === "acme" ? { server: "shared", target_pattern: "slow" } : { server: "none" };
  await operator.call("PolicyService", "CreateRule", { rule: { ...rule, condition } });
  const tools = [{ server: "shared", name: "echo" }];
  await operator.call("ServerService", "CreateVirtualServer", {
    virtual_server: { name: `${name}-bundle`, tools, enabled: true },
  });
  const token = await registerClient(operator, `${name}-agent`, { roles: ["analyst"] });
  return { operator, server, token };
}

/** What a refusal says. */
export async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Error) return error.message;
  throw new Error("should have been refused");
}
