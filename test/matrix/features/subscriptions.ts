/** Changes: a resource that is followed, a list that grows, and silence about everything else. */
import assert from "node:assert/strict";
import { until } from "../../support/deadline.ts";
import type { MatrixClient } from "../clients/client.ts";
import { type Feature, newKey } from "./feature.ts";

const updated = "notifications/resources/updated";
const listChanged = "notifications/tools/list_changed";

export const subscriptions: Feature = {
  letter: "U",
  name: "subscriptions",
  async prove(client) {
    const [one, other] = [newKey(), newKey()].map((key) => `note://each/${key}`) as [
      string,
      string,
    ];
    const heard = () => client.heard.filter(({ method }) => method === updated);
    const uris = () => heard().map(({ params }) => params.uri);
    const lists = () => client.heard.filter(({ method }) => method === listChanged).length;

    const following = await client.follow(one);
    assert.equal(await hasTool(client, "before"), false);
    const before = lists();
    await client.callTool("change", { uri: other, tool: newKey() });
    const tool = newKey();
    await client.callTool("change", { uri: one, tool });
    await until("the change of the resource", () => uris().length > 0);
    // What was not subscribed to changed first, and would have come first.
    assert.deepEqual(uris(), [one]);
    await until("the change of the list", () => lists() > before);
    // Nobody on the way remembers the old list.
    await until("the new tool", () => hasTool(client, tool));
    await following[Symbol.asyncDispose]();

    const again = await client.follow(other);
    await client.callTool("change", { uri: one, tool: newKey() });
    await client.callTool("change", { uri: other, tool: newKey() });
    await until("the change of the other resource", () => uris().length > 1);
    assert.deepEqual(uris(), [one, other]);
    await again[Symbol.asyncDispose]();
  },
};

async function hasTool(client: MatrixClient, wanted: string): Promise<boolean> {
  return (await client.listTools()).some(({ name }) => name === wanted);
}
