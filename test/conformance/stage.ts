/**
 * What the suite is run against: the fixture alone, and the compiled gateway with fixtures behind it. The suite cannot
 * send a credential, so the gateway lets anonymous callers in, which is a named risk beyond loopback.
 */
import { createAdminClient } from "../support/admin-client.ts";
import { startConformanceServer } from "../support/conformance-server/start.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { generousLimits, registerHttpServer } from "../support/operator.ts";
import { connectHttp } from "../support/sdk-agents.ts";

export interface Column {
  readonly name: string;
  readonly url: string;
}

export interface Stage extends AsyncDisposable {
  readonly gateway: GatewayProcess;
  readonly columns: readonly Column[];
}

export const columnNames: readonly string[] = ["straight", "own scope", "virtual", "legacy server"];

/** Each column has a fixture of its own, since what one run triggers must not reach another's listens. */
export async function openStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const fixtures = columnNames.map(() => stack.use(startConformanceServer()));
  const [straight, own, bundled, older] = fixtures.map(({ url }) => url);
  const gateway = stack.use(
    // A scenario waits for a slow call to become an event stream when it does by default.
    await startGateway({
      config: {
        identity: { anonymous: true },
        limits: generousLimits,
        agents: { sse_after_ms: 2_000 },
      },
    }),
  );
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "own", own!);
  await registerHttpServer(admin, "bundled", bundled!);
  await registerHttpServer(admin, "older", older!, { era: "SERVER_ERA_LEGACY" });
  await admin.call("PolicyService", "CreateRule", {
    rule: { name: "everybody", effect: "RULE_EFFECT_ALLOW", condition: { principal: "anonymous" } },
  });
  const scope = (name: string) => `${gateway.agents}/${name}/mcp`;
  await using agent = await connectHttp(bundled!);
  const passOn = ({ name }: { readonly name: string }) => ({
    server: "bundled",
    name,
    exposed_name: name,
  });
  await admin.call("ServerService", "CreateVirtualServer", {
    virtual_server: {
      name: "desk",
      tools: (await agent.listTools()).map(passOn),
      prompts: (await agent.listPrompts()).map(passOn),
      resources: [{ server: "bundled", uri_pattern: "test://*" }],
    },
  });
  const kept = stack.move();
  const urls = [straight!, scope("own"), scope("desk"), scope("older")];
  return {
    gateway,
    columns: columnNames.map((name, index) => ({ name, url: urls[index]! })),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
