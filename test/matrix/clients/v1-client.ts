/** SDK v1's client over any transport; it speaks the legacy revisions. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import {
  answerForm,
  answerSampling,
  capabilities,
  identity,
  type MatrixClient,
  roots,
  type Told,
} from "./client.ts";

export async function connectV1(transport: Transport): Promise<MatrixClient> {
  const client = new Client(identity, { capabilities });
  const heard: Told[] = [];
  const asked: Told[] = [];
  const errors: string[] = [];
  client.onerror = (error) => void errors.push(error.message);
  client.fallbackNotificationHandler = async ({ method, params = {} }) => {
    heard.push({ method, params });
  };
  client.setRequestHandler(ElicitRequestSchema, ({ method, params }) => {
    asked.push({ method, params });
    return answerForm(params);
  });
  client.setRequestHandler(CreateMessageRequestSchema, ({ method, params }) => {
    asked.push({ method, params });
    return answerSampling(params);
  });
  client.setRequestHandler(ListRootsRequestSchema, ({ method }) => {
    asked.push({ method, params: {} });
    return roots;
  });
  await client.connect(transport);

  return {
    heard,
    asked,
    errors,
    isModern: false,
    notFoundCode: -32002,
    serverCapabilities: () => client.getServerCapabilities() ?? {},
    listTools: async () => (await client.listTools()).tools,
    callTool: (name, values = {}, options = {}) =>
      client.callTool({ name, arguments: { ...values } }, undefined, { ...options }),
    listResources: async () => (await client.listResources()).resources,
    listResourceTemplates: async () => (await client.listResourceTemplates()).resourceTemplates,
    readResource: (uri) => client.readResource({ uri }),
    listPrompts: async () => (await client.listPrompts()).prompts,
    getPrompt: (name, values = {}) => client.getPrompt({ name, arguments: { ...values } }),
    complete: (asking) => client.complete(asking),
    async logAt(level) {
      await client.setLoggingLevel(level);
    },
    async follow(uri) {
      await client.subscribeResource({ uri });
      return {
        async [Symbol.asyncDispose]() {
          await client.unsubscribeResource({ uri });
        },
      };
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}
