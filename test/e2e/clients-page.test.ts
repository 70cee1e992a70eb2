/** The client in docs/clients.md, as a reader would run it: copied from the page, against the executable. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createAdminClient } from "../support/admin-client.ts";
import { repository, startGateway } from "../support/gateway-process.ts";
import { registerClient } from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder("clients-page");
afterAll(() => folder[Symbol.asyncDispose]());

test("A07: the page's client signs what the gateway accepts, and what it changes is refused", async () => {
  const page = readFileSync(join(repository, "docs/clients.md"), "utf8");
  const source = /```js\n(.*?)```/s.exec(page)?.[1] ?? "";
  const file = join(folder.path, "client.mjs");
  const spoilt = join(folder.path, "spoilt.mjs");
  await Bun.write(file, source);
  await Bun.write(spoilt, source.replace("  body,\n});", '  body: body.replace("1", "2"),\n});'));

  await using gateway = await startGateway();
  await using admin = createAdminClient(gateway);
  const token = await registerClient(admin, "ci");
  const { secret } = await admin.call<{ secret: string }>("ClientService", "IssueSigningSecret", {
    client_id: "ci",
    key_id: "k1",
  });
  const run = (path: string, key = secret) => {
    const args = [path, `${gateway.agents}/mcp`, token, "k1", key];
    return Bun.spawnSync([Bun.which("node") ?? process.execPath, ...args]).stdout.toString();
  };
  expect(run(file)).toStartWith('200 {"jsonrpc":"2.0","id":1,"result"');
  expect(run(spoilt)).toContain("Content-Digest is not the body's");
  expect(run(file, token)).toContain("it does not verify");
});
