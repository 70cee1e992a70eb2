/**
 * `sample calculator|notes`: the sample servers as processes of their own, started by the demo from this same
 * executable. Not shown in the overview.
 */
import { type Command, exitCodes, UsageError, untilStopped } from "../command.ts";
import { parseFlags, parseWholeNumber } from "../flags.ts";

export const sample: Command = {
  usage: "calculator [--port N] | notes",
  help: `Runs a sample MCP server: a calculator over Streamable HTTP, which prints its URL as one JSON line, or
notes over stdio.`,
  run: async (args, { output, stop }) => {
    const { values, positionals } = parseFlags(args, { port: { type: "string" } });
    switch (positionals[0]) {
      case "calculator": {
        const { startCalculator } = await import("./calculator.ts");
        const server = startCalculator(parseWholeNumber("--port", values.port, 0) ?? 0);
        output.json({ event: "listening", url: server.url });
        await untilStopped(stop);
        await server.close();
        return exitCodes.done;
      }
      case "notes": {
        const { serveNotes } = await import("./notes.ts");
        await Promise.race([serveNotes(), untilStopped(stop)]);
        return exitCodes.done;
      }
      default:
        throw new UsageError("name a sample: calculator or notes");
    }
  },
};
