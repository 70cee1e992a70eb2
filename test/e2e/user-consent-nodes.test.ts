/**
 * Users' consents on two nodes that share a database and keys: a call on one, the browser on the other, and a grant that
 * both may use until it is taken back.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type ConsentWorld, consent, linkOf, startConsentWorld } from "../support/consent-world.ts";
import { until } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { startPostgres } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const stack = new AsyncDisposableStack();
let world: ConsentWorld;
let other: GatewayProcess;

beforeAll(async () => {
  const folder = stack.use(temporaryFolder("consent-nodes")).path;
  const postgres = stack.use(await startPostgres());
  const env = { DATABASE_URL: postgres.url };
  const [one, two] = [join(folder, "one"), join(folder, "two")];
  world = stack.use(await startConsentWorld({ dataDir: one, env }));
  mkdirSync(two, { mode: 0o700 });
  for (const key of ["token.key", "secrets.key"]) cpSync(join(one, key), join(two, key));
  other = stack.use(await startGateway({ config: world.start?.config, env, dataDir: two }));
}, 90_000);
afterAll(() => stack.disposeAsync());

test("AZ-20 asked on one node, allowed on another, called on both, taken back from both", async () => {
  const token = await world.tokenOf("ada");
  const base = other.agents;
  const question = await world.echo(token, { base });
  const more = {
    requestState: question.result?.requestState,
    inputResponses: { consent: { action: "accept" } },
  };
  // The call waits where it was made; the page belongs to the public URL, which is the first node's.
  const waiting = world.echo(token, { base, ...more });
  const page = await consent(world.browserOf("ada"), linkOf(question));
  expect(page.status).toBe(200);
  expect((await waiting).result?.content).toBeDefined();
  expect((await world.echo(token)).result?.content).toBeDefined();
  // A retry that comes by the other node is the same call.
  expect((await world.echo(token, more)).result?.content).toBeDefined();

  const { grants } = await world.admin.call("GrantService", "ListGrants", {});
  const [{ id }] = grants as [{ id: string }];
  await world.admin.call("GrantService", "RevokeGrant", { id });
  const isAsked = async (at: string) =>
    (await world.echo(token, { base: at })).result?.resultType === "input_required";
  expect(await isAsked(world.gateway.agents)).toBe(true);
  await until("the other node's question", () => isAsked(base));
}, 60_000);
