/** Servers' secrets lie sealed in the database, each in its place, and what an older gateway left there is sealed. */
import { expect, test } from "bun:test";
import { sealResources, sealStored } from "../../../../src/servers/credentials/sealed-resources.ts";
import { createSecretSealer } from "../../../../src/servers/credentials/sealing.ts";
import { createMemoryResourceStore } from "../../../support/memory-store.ts";

const sealer = createSecretSealer(Buffer.alloc(32, 7), "secrets.key");

const remote = {
  name: "files",
  transport: {
    kind: "streamable-http",
    url: "https://a.example",
    headers: { "x-key": "canary-1" },
  },
  auth: {
    gatewaySecret: "canary-2",
    oauth: { clientId: "gateway", clientSecret: "canary-3", privateKey: "canary-4", scopes: ["a"] },
  },
};
const local = {
  name: "shell",
  transport: { kind: "stdio", command: "run", args: ["a"], environment: { TOKEN: "canary-5" } },
};
const role = { name: "reader", headers: { a: "canary-kept" } };
const changes = [
  { kind: "server", name: "files", body: remote },
  { kind: "server", name: "shell", body: local },
  { kind: "role", name: "reader", body: role },
];

const bodiesOf = async (store: Pick<ReturnType<typeof createMemoryResourceStore>, "load">) =>
  (await store.load()).resources.map(({ body }) => body);

test("every secret of a server is sealed in the store and plain above it; nothing else changes", async () => {
  const store = createMemoryResourceStore();
  const sealed = sealResources(store, sealer);
  expect(
    await sealed.write([...changes, { kind: "server", name: "old", delete: true }], 0, 5),
  ).toBe(1);
  expect(await bodiesOf(sealed)).toEqual([remote, local, role]);
  const stored = JSON.stringify(await bodiesOf(store));
  expect(stored.match(/canary-[1-5]/g)).toBeNull();
  expect(stored.match(/sealed:1:/g)).toHaveLength(5);
  for (const open of ["https://a.example", "gateway", '["a"]', "canary-kept"]) {
    expect(stored).toContain(open);
  }
});

test("a sealed value that was put under another server or field is refused", async () => {
  const store = createMemoryResourceStore();
  await sealResources(store, sealer).write(changes, 0, 5);
  const [files] = await bodiesOf(store);
  await store.write([{ kind: "server", name: "shadow", body: files }], 1, 6);
  const error = await sealResources(store, sealer)
    .load()
    .catch((cause: unknown) => cause);
  expect(String(error)).toContain('server "shadow": header x-key does not open');
});

test("plain values of an older gateway are readable, and sealed once at the start", async () => {
  const store = createMemoryResourceStore();
  await store.write(changes, 0, 5);
  expect(await bodiesOf(sealResources(store, sealer))).toEqual([remote, local, role]);
  // Another node wins the race for the first attempt.
  store.beforeWrite = async () => {
    await store.write([{ kind: "role", name: "other", body: {} }], 1, 6);
  };
  expect(await sealStored(store, sealer, 7)).toBe(2);
  expect(JSON.stringify(await bodiesOf(store))).not.toMatch(/canary-[1-5]/);
  expect(await bodiesOf(sealResources(store, sealer))).toEqual([remote, local, role, {}]);
  const before = await bodiesOf(store);
  expect(await sealStored(store, sealer, 8)).toBe(0);
  expect(await bodiesOf(store)).toEqual(before);
});
