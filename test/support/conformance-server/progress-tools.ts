/**
 * Tools of the conformance fixture that say something while they run: logs, progress, a stream closed halfway, and
 * changes of the server's lists. What a change reaches is the server's business and handed in.
 */
import type { FixtureTool } from "./fixture-tool.ts";

/** Tells every client that listens, of either era. */
export interface Changes {
  toolsChanged(): void;
  promptsChanged(): void;
}

const stepMs = 50;
/** Longer than a gateway waits before it answers as a stream, since only on a stream is there something to resume. */
const absenceMs = 2_500;
const done = (said: string) => ({ content: [{ type: "text" as const, text: said }] });

export const createProgressTools = (changes: Changes): readonly FixtureTool[] => [
  {
    name: "test_tool_with_logging",
    description: "Logs three lines while it runs",
    async call(_values, { mcpReq }) {
      await mcpReq.log("info", "Tool execution started");
      await Bun.sleep(stepMs);
      await mcpReq.log("info", "Tool processing data");
      await Bun.sleep(stepMs);
      await mcpReq.log("info", "Tool execution completed");
      return done("logged");
    },
  },
  {
    name: "test_logging_tool",
    description: "Logs one line, which reaches only who asked for logs",
    async call(_values, { mcpReq }) {
      await mcpReq.log("info", "test_logging_tool ran");
      return done("logged");
    },
  },
  {
    name: "test_tool_with_progress",
    description: "Reports progress where a token came",
    async call(_values, { mcpReq }) {
      const progressToken = mcpReq._meta?.progressToken;
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined) {
          const params = { progressToken, progress, total: 100 };
          await mcpReq.notify({ method: "notifications/progress", params });
        }
        await Bun.sleep(stepMs);
      }
      return done("done");
    },
  },
  {
    name: "test_reconnection",
    description: "Closes its stream halfway; the answer waits for the client to come back",
    async call(_values, { http }) {
      http?.closeSSE?.();
      await Bun.sleep(absenceMs);
      return done("came back");
    },
  },
  {
    name: "test_streaming_elicitation",
    description: "Answers without asking anything on its stream",
    call: () => done("streamed"),
  },
  {
    name: "test_trigger_tool_change",
    description: "Says that the list of tools changed",
    call() {
      changes.toolsChanged();
      return done("said");
    },
  },
  {
    name: "test_trigger_prompt_change",
    description: "Says that the list of prompts changed",
    call() {
      changes.promptsChanged();
      return done("said");
    },
  },
];
