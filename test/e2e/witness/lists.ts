/** Members of lists, results and openings that a gateway would lose by reading them with a schema of its own. */
import { expect } from "bun:test";
import { firstPage, instructions, measured, secondPage } from "../../support/witness-server.ts";
import { allWays, connectAgent, type Era, type Witness, type WitnessStage } from "./stage.ts";

interface Tool {
  readonly name: string;
  readonly inputSchema?: object;
  readonly outputSchema?: object;
  readonly annotations?: object;
}

async function listedTool(stage: WitnessStage, era: Era): Promise<Tool> {
  await using agent = await connectAgent(stage, era);
  const { tools } = await agent.listTools({});
  const tool = tools.find(({ name }) => name === "measure");
  if (tool === undefined) throw new Error("measure is not listed");
  return tool as Tool;
}

const [wanted] = firstPage.tools as readonly Tool[];

export const listWitnesses: readonly Witness[] = [
  {
    fault: "next-cursor",
    title: "a list's second page can be reached",
    ways: allWays,
    notices: /no second page/,
    async run(stage, era) {
      await using agent = await connectAgent(stage, era);
      const names: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await agent.listTools(cursor === undefined ? {} : { cursor });
        names.push(...page.tools.map(({ name }) => name));
        cursor = page.nextCursor;
      } while (cursor !== undefined && names.length < 20);
      const all = [...firstPage.tools, ...secondPage.tools].map(({ name }) => name);
      if (!names.includes("wait")) throw new Error(`no second page: ${names}`);
      expect(names).toEqual(all);
    },
  },
  {
    fault: "output-schema",
    title: "a tool keeps its output schema",
    ways: allWays,
    notices: /outputSchema/,
    async run(stage, era) {
      const { outputSchema } = await listedTool(stage, era);
      expect({ outputSchema }).toEqual({ outputSchema: wanted?.outputSchema });
    },
  },
  {
    fault: "annotations",
    title: "a tool keeps its annotations",
    ways: allWays,
    notices: /annotations/,
    async run(stage, era) {
      const { annotations } = await listedTool(stage, era);
      expect({ annotations }).toEqual({ annotations: wanted?.annotations });
    },
  },
  {
    fault: "schema-keywords",
    title: "a tool's schema keeps every keyword",
    ways: allWays,
    notices: /additionalProperties/,
    async run(stage, era) {
      const { inputSchema } = await listedTool(stage, era);
      expect({ inputSchema }).toEqual({ inputSchema: wanted?.inputSchema });
    },
  },
  {
    fault: "structured-content",
    title: "a result keeps its structured content",
    ways: allWays,
    notices: /structuredContent/,
    async run(stage, era) {
      await using agent = await connectAgent(stage, era);
      const { structuredContent } = await agent.callTool({ name: "measure", arguments: {} });
      expect({ structuredContent }).toEqual({ structuredContent: measured.structuredContent });
    },
  },
  {
    fault: "instructions",
    title: "an agent gets the server's instructions",
    ways: allWays,
    notices: /instructions/,
    async run(stage, era) {
      await using agent = await connectAgent(stage, era);
      expect({ instructions: agent.getInstructions() }).toEqual({ instructions });
    },
  },
];
