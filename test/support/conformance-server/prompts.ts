/** Prompts of the conformance fixture, one of which asks before it answers, and the completion of their arguments. */
import {
  fromJsonSchema,
  type GetPromptResult,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { redPixel } from "./content-tools.ts";

const towns = ["paris", "park", "party"];

type Content = GetPromptResult["messages"][number]["content"];

const messages = (...contents: readonly Content[]): GetPromptResult => ({
  messages: contents.map((content) => ({ role: "user", content })),
});

const text = (said: string) => ({ type: "text", text: said }) as const;

export function registerPrompts(mcp: McpServer): void {
  const prompt = (
    name: string,
    argumentNames: readonly string[],
    render: (
      values: Readonly<Record<string, string>>,
      context: ServerContext,
    ) => GetPromptResult | InputRequiredResult,
  ) => {
    const argsSchema = fromJsonSchema<Record<string, string>>({
      type: "object",
      properties: Object.fromEntries(argumentNames.map((one) => [one, { type: "string" }])),
      required: [...argumentNames],
    });
    const description = `Prompt ${name}`;
    mcp.registerPrompt(name, { description, argsSchema }, (values, context) =>
      render(values ?? {}, context),
    );
  };

  prompt("test_simple_prompt", [], () => messages(text("This is a simple prompt for testing.")));
  prompt("test_prompt_with_arguments", ["arg1", "arg2"], ({ arg1, arg2 }) =>
    messages(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  prompt("test_prompt_with_embedded_resource", ["resourceUri"], ({ resourceUri = "" }) => {
    const inside = { uri: resourceUri, mimeType: "text/plain", text: "Embedded resource content." };
    return messages(
      { type: "resource", resource: inside },
      text("Please process the embedded resource above."),
    );
  });
  prompt("test_prompt_with_image", [], () =>
    messages(
      { type: "image", data: redPixel, mimeType: "image/png" },
      text("Please analyze the image above."),
    ),
  );
  prompt("test_input_required_result_prompt", [], (_values, { mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, "user_context");
    if (answer.kind === "elicit") return messages(text(`Context: ${answer.content?.context}`));
    const question = inputRequired.elicit({
      message: "What context should the prompt use?",
      requestedSchema: {
        type: "object",
        properties: { context: { type: "string" } },
        required: ["context"],
      },
    });
    return inputRequired({ inputRequests: { user_context: question } });
  });

  mcp.server.setRequestHandler("completion/complete", ({ params }) => {
    const values = towns.filter((town) => town.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
}
