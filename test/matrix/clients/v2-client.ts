/** SDK v2's client over any transport, in the era it is told to speak. */
import { Client, LOG_LEVEL_META_KEY, type Transport } from "@modelcontextprotocol/client";
import {
  answerForm,
  answerSampling,
  capabilities,
  identity,
  type MatrixClient,
  roots,
  type Told,
} from "./client.ts";

const notifications = [
  "notifications/message",
  "notifications/resources/updated",
  "notifications/tools/list_changed",
] as const;

export async function connectV2(
  transport: Transport,
  era: "legacy" | "modern",
): Promise<MatrixClient> {
  const isModern = era === "modern";
  const mode = isModern ? { pin: "2026-07-28" } : "legacy";
  const client = new Client(identity, { capabilities, versionNegotiation: { mode } });
  const heard: Told[] = [];
  const asked: Told[] = [];
  const errors: string[] = [];
  client.onerror = (error) => void errors.push(error.message);
  for (const name of notifications) {
    client.setNotificationHandler(name, ({ method, params = {} }) => {
      heard.push({ method, params });
    });
  }
  client.setRequestHandler("elicitation/create", ({ method, params }) => {
    asked.push({ method, params });
    return answerForm(params);
  });
  client.setRequestHandler("sampling/createMessage", ({ method, params }) => {
    asked.push({ method, params });
    return answerSampling(params);
  });
  client.setRequestHandler("roots/list", ({ method }) => {
    asked.push({ method, params: {} });
    return roots;
  });
  await client.connect(transport);

  let level: string | undefined;
  const metaOf = () => (level === undefined ? {} : { _meta: { [LOG_LEVEL_META_KEY]: level } });
  return {
    heard,
    asked,
    errors,
    isModern,
    // The legacy revisions' -32002 comes out of this line as the modern code.
    notFoundCode: -32602,
    serverCapabilities: () => client.getServerCapabilities() ?? {},
    listTools: async () => (await client.listTools()).tools,
    callTool: (name, values = {}, options = {}) =>
      client.callTool({ name, arguments: { ...values }, ...metaOf() }, { ...options }),
    listResources: async () => (await client.listResources()).resources,
    listResourceTemplates: async () => (await client.listResourceTemplates()).resourceTemplates,
    readResource: (uri) => client.readResource({ uri }),
    listPrompts: async () => (await client.listPrompts()).prompts,
    getPrompt: (name, values = {}) => client.getPrompt({ name, arguments: { ...values } }),
    complete: (asking) => client.complete(asking),
    async logAt(wanted) {
      if (isModern) level = wanted;
      else await client.setLoggingLevel(wanted);
    },
    async follow(uri) {
      if (!isModern) {
        await client.subscribeResource({ uri });
        return {
          async [Symbol.asyncDispose]() {
            await client.unsubscribeResource({ uri });
          },
        };
      }
      const listening = await client.listen({
        toolsListChanged: true,
        resourceSubscriptions: [uri],
      });
      return { [Symbol.asyncDispose]: () => listening.close() };
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}
