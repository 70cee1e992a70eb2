/** What a server asks while a tool runs: forms, sampling, roots. */
import assert from "node:assert/strict";
import { answerSampling, type MatrixClient, roots, type Told } from "../clients/client.ts";
import type { Values } from "../servers/script.ts";
import { type Feature, newKey, textOf } from "./feature.ts";

/** Calls the tool; gives what it made of the answers, and what was asked for it. */
async function askedBy(
  client: MatrixClient,
  tool: string,
  values: Values = {},
): Promise<{ readonly said: unknown; readonly asked: readonly Told[] }> {
  const before = client.asked.length;
  const said: unknown = JSON.parse(textOf(await client.callTool(tool, values)));
  return { said, asked: client.asked.slice(before) };
}

export const elicitation: Feature = {
  letter: "E",
  name: "elicitation",
  async prove(client) {
    const key = newKey();
    const { said, asked } = await askedBy(client, "elicit", { key });
    assert.deepEqual(said, [
      { action: "accept", content: { name: "Ada" } },
      { action: "accept", content: { colour: "green" } },
    ]);
    assert.deepEqual(
      asked.map(({ method, params }) => [method, params.message]),
      [
        ["elicitation/create", `name ${key}`],
        ["elicitation/create", `colour ${key}`],
      ],
    );
    assert.deepEqual(asked[0]?.params.requestedSchema, {
      type: "object",
      properties: { name: { type: "string" } },
      required: ["name"],
    });
    const declined = await askedBy(client, "elicit", { key: "decline" });
    assert.deepEqual([declined.said, declined.asked.length], [[{ action: "decline" }], 1]);
  },
};

export const sampling: Feature = {
  letter: "S",
  name: "sampling",
  async prove(client) {
    const key = newKey();
    const { said, asked } = await askedBy(client, "sample", { key });
    const messages = [{ role: "user", content: { type: "text", text: `say ${key}` } }];
    assert.deepEqual(
      asked.map(({ method, params }) => [method, params.messages, params.maxTokens]),
      [["sampling/createMessage", messages, 7]],
    );
    assert.deepEqual(said, answerSampling({ messages }));
  },
};

export const rooting: Feature = {
  letter: "O",
  name: "roots",
  async prove(client) {
    const { said, asked } = await askedBy(client, "roots");
    assert.deepEqual(
      asked.map(({ method }) => method),
      ["roots/list"],
    );
    assert.deepEqual(said, roots);
  },
};
