/**
 * The fixture on SDK v2, for either era. A tool that asks answers `input_required` and is run again with the answers so
 * far; towards legacy clients the SDK turns that into requests. This line has no tasks.
 */
import {
  createRequestStateCodec,
  inputRequired,
  McpServer,
  ResourceNotFoundError,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as script from "./script.ts";

/** Thrown by `ask` where the answer is not there yet. */
class Unanswered extends Error {
  readonly question: script.Question;
  constructor(question: script.Question) {
    super(question.method);
    this.question = question;
  }
}

const states = createRequestStateCodec<script.Values[]>({
  key: crypto.getRandomValues(new Uint8Array(32)),
});

/**
 * `era` is the era of the connection: a legacy instance keeps its own subscriptions, a modern one leaves them to
 * `serveStdio`. An instance for one request only (`once`) has nobody listening.
 */
export function createV2Fixture(world: script.World, era: "legacy" | "modern" | "once"): McpServer {
  const mcp = new McpServer(script.serverInfo, {
    capabilities: script.capabilities,
    requestState: { verify: states.verify },
  });
  const { server } = mcp;
  server.setRequestHandler("tools/list", () => ({ tools: script.listTools(world) }));
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    const answers = answersOf(context);
    const waiting = [...answers];
    try {
      return await script.callTool(toCall(params, context, waiting), world);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      return inputRequired({
        inputRequests: { answer: toInputRequest(error.question) },
        requestState: await states.mint([...answers]),
      });
    }
  });
  server.setRequestHandler("resources/list", () => ({ resources: script.resources }));
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: script.resourceTemplates,
  }));
  server.setRequestHandler("resources/read", ({ params: { uri } }) => {
    const found = script.readResource(uri);
    if (found === undefined) throw new ResourceNotFoundError(uri);
    return found;
  });
  server.setRequestHandler("prompts/list", () => ({ prompts: script.prompts }));
  server.setRequestHandler("prompts/get", ({ params }) =>
    script.getPrompt(params.name, params.arguments),
  );
  server.setRequestHandler("completion/complete", ({ params }) =>
    script.complete(params.ref, params.argument.value, params.context?.arguments),
  );
  if (era !== "once") follow(mcp, world, era);
  return mcp;
}

function toCall(
  params: { readonly name: string; readonly arguments?: script.Values | undefined },
  { mcpReq }: ServerContext,
  waiting: script.Values[],
): script.ToolCall {
  return {
    name: params.name,
    values: params.arguments ?? {},
    signal: mcpReq.signal,
    async progress(step, total) {
      const progressToken = mcpReq._meta?.progressToken;
      if (progressToken === undefined) return;
      await mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress: step, total, message: `step ${step}` },
      });
    },
    log: (level, text) => mcpReq.log(level, text, "matrix"),
    async ask(question) {
      const answer = waiting.shift();
      if (answer === undefined) throw new Unanswered(question);
      return answer;
    },
  };
}

/** Those of earlier rounds, from the state, and the one that came with this request. */
function answersOf({ mcpReq }: ServerContext): readonly script.Values[] {
  const earlier = mcpReq.requestState<script.Values[]>() ?? [];
  const latest = mcpReq.inputResponses?.answer;
  return latest === undefined ? earlier : [...earlier, latest as script.Values];
}

function toInputRequest(question: script.Question) {
  switch (question.method) {
    case "elicitation/create":
      return inputRequired.elicit(question.params);
    case "sampling/createMessage":
      return inputRequired.createMessage(question.params);
    case "roots/list":
      return inputRequired.listRoots();
  }
}

function follow(
  { server }: McpServer,
  { followers }: script.World,
  era: "legacy" | "modern",
): void {
  const subscribed = new Set<string>();
  if (era === "legacy") {
    server.setRequestHandler("resources/subscribe", ({ params: { uri } }) => {
      subscribed.add(uri);
      return {};
    });
    server.setRequestHandler("resources/unsubscribe", ({ params: { uri } }) => {
      subscribed.delete(uri);
      return {};
    });
  }
  const follower: script.Follower = {
    toolsChanged: () => void server.sendToolListChanged(),
    resourceUpdated(uri) {
      if (era === "modern" || subscribed.has(uri)) void server.sendResourceUpdated({ uri });
    },
  };
  followers.add(follower);
  server.onclose = () => void followers.delete(follower);
}
