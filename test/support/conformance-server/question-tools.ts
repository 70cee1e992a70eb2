/**
 * Tools of the conformance fixture that ask the client before they answer. Each is written once, as a tool of revision
 * 2026-07-28 that answers `input_required`; on a legacy session the SDK turns that into requests to the client.
 */
import {
  createRequestStateCodec,
  type InputRequests,
  inputRequired,
  inputResponse,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { choices, defaults, yesOrNo } from "./elicitation-schemas.ts";
import type { FixtureTool } from "./fixture-tool.ts";

/** What `requestState` carries from round to round; sealed by the codec. */
interface RoundState {
  readonly tool: string;
  readonly round: number;
  readonly name?: string;
}

export const roundStates = createRequestStateCodec<RoundState>({
  key: crypto.getRandomValues(new Uint8Array(32)),
});

const done = (said: string) => ({ content: [{ type: "text" as const, text: said }] });

/** A form with text fields that must be filled. */
const form = (message: string, fields: readonly string[]) =>
  inputRequired.elicit({
    message,
    requestedSchema: {
      type: "object",
      properties: Object.fromEntries(fields.map((field) => [field, { type: "string" as const }])),
      required: [...fields],
    },
  });

const sample = (prompt: string, maxTokens: number) =>
  inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: prompt } }],
    maxTokens,
  });

const answerTo = (context: ServerContext, key: string) =>
  inputResponse(context.mcpReq.inputResponses, key);

/** One question, one answer, no state between. */
function askOnce(
  name: string,
  description: string,
  key: string,
  question: (values: Readonly<Record<string, unknown>>) => InputRequests[string],
  say: (answer: ReturnType<typeof answerTo>) => string,
  inputSchema?: FixtureTool["inputSchema"],
): FixtureTool {
  return {
    name,
    description,
    ...(inputSchema && { inputSchema }),
    call(values, context) {
      const answer = answerTo(context, key);
      if (answer.kind !== "missing") return done(say(answer));
      return inputRequired({ inputRequests: { [key]: question(values) } });
    },
  };
}

const spoken = (answer: ReturnType<typeof answerTo>) => {
  if (answer.kind !== "sampling") return "nothing";
  const { content } = answer.result;
  return "text" in content ? content.text : JSON.stringify(content);
};

const decided = (answer: ReturnType<typeof answerTo>) =>
  answer.kind === "elicit"
    ? `action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`
    : "nothing";

const oneText = (field: string) =>
  ({ type: "object", properties: { [field]: { type: "string" } }, required: [field] }) as const;

export const questionTools: readonly FixtureTool[] = [
  askOnce(
    "test_sampling",
    "Asks the client's model",
    "answer",
    ({ prompt }) => sample(String(prompt), 100),
    (answer) => `LLM response: ${spoken(answer)}`,
    oneText("prompt"),
  ),
  askOnce(
    "test_elicitation",
    "Asks the user for two texts",
    "answer",
    ({ message }) => form(String(message), ["username", "email"]),
    (answer) => `User response: ${decided(answer)}`,
    oneText("message"),
  ),
  askOnce(
    "test_elicitation_sep1034_defaults",
    "Asks with a default value of each type",
    "answer",
    () =>
      inputRequired.elicit({ message: "Please review the defaults", requestedSchema: defaults }),
    (answer) => `Elicitation completed: ${decided(answer)}`,
  ),
  askOnce(
    "test_elicitation_sep1330_enums",
    "Asks with each kind of choice",
    "answer",
    () => inputRequired.elicit({ message: "Please choose", requestedSchema: choices }),
    (answer) => `Elicitation completed: ${decided(answer)}`,
  ),
  askOnce(
    "test_missing_capability",
    "Needs sampling, which its caller does not declare",
    "answer",
    () => sample("Say pong", 16),
    spoken,
  ),
  {
    name: "test_input_required_result_elicitation",
    description: "Asks for a name and greets; asks again where no usable name came",
    call(_values, context) {
      const answer = answerTo(context, "user_name");
      const name = answer.kind === "elicit" ? answer.content?.name : undefined;
      if (typeof name === "string") return done(`Hello, ${name}!`);
      const question = form("What is your name?", ["name"]);
      return inputRequired({ inputRequests: { user_name: question } });
    },
  },
  askOnce(
    "test_input_required_result_sampling",
    "Asks the client's model for a capital",
    "capital_question",
    () => sample("What is the capital of France?", 100),
    spoken,
  ),
  askOnce(
    "test_input_required_result_list_roots",
    "Asks for the client's roots",
    "client_roots",
    () => inputRequired.listRoots(),
    (answer) => JSON.stringify(answer.kind === "roots" ? answer.roots : []),
  ),
  confirmed("test_input_required_result_request_state", "Keeps sealed state across a round"),
  confirmed("test_input_required_result_tampered_state", "Refuses state that was changed"),
  {
    name: "test_input_required_result_multiple_inputs",
    description: "Asks three questions in one round",
    async call(_values, context) {
      const keys = ["user_name", "greeting", "client_roots"];
      if (keys.every((key) => answerTo(context, key).kind !== "missing")) {
        return done("all three answered");
      }
      return inputRequired({
        inputRequests: {
          user_name: form("What is your name?", ["name"]),
          greeting: sample("Generate a greeting", 50),
          client_roots: inputRequired.listRoots(),
        },
        requestState: await roundStates.mint({ tool: "multiple", round: 1 }),
      });
    },
  },
  {
    name: "test_input_required_result_multi_round",
    description: "Asks twice, one round after the other",
    async call(_values, context) {
      const state = context.mcpReq.requestState<RoundState>();
      if (state === undefined) {
        return inputRequired({
          inputRequests: { step1: form("Step 1: What is your name?", ["name"]) },
          requestState: await roundStates.mint({ tool: "rounds", round: 1 }),
        });
      }
      if (state.round === 1) {
        const answer = answerTo(context, "step1");
        const name = String(answer.kind === "elicit" ? answer.content?.name : "nobody");
        return inputRequired({
          inputRequests: { step2: form("Step 2: What is your favorite color?", ["color"]) },
          requestState: await roundStates.mint({ tool: "rounds", round: 2, name }),
        });
      }
      const answer = answerTo(context, "step2");
      return done(`${state.name} likes ${answer.kind === "elicit" ? answer.content?.color : "?"}`);
    },
  },
  {
    name: "test_input_required_result_capabilities",
    description: "Asks only what the client said it can answer",
    call(_values, context, mcp) {
      if (context.mcpReq.inputResponses !== undefined) return done("answered");
      const declared = mcp.server.getClientCapabilities();
      const inputRequests: InputRequests = {
        ...(declared?.elicitation && { user_name: form("What is your name?", ["name"]) }),
        ...(declared?.sampling && { greeting: sample("Generate a greeting", 50) }),
        ...(declared?.roots && { client_roots: inputRequired.listRoots() }),
      };
      if (Object.keys(inputRequests).length === 0) return done("nothing to ask");
      return inputRequired({ inputRequests });
    },
  },
];

/** Asks for a yes; says `state-ok` only where the answer came with the state of that question. */
function confirmed(name: string, description: string): FixtureTool {
  return {
    name,
    description,
    async call(_values, context) {
      const state = context.mcpReq.requestState<RoundState>();
      if (state?.tool === name && answerTo(context, "confirm").kind === "elicit") {
        return done("state-ok");
      }
      const message = "Please confirm";
      return inputRequired({
        inputRequests: { confirm: inputRequired.elicit({ message, requestedSchema: yesOrNo }) },
        requestState: await roundStates.mint({ tool: name, round: 1 }),
      });
    },
  };
}
