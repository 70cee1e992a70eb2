/**
 * `list-servers`: the servers this client may see, found the way an agent would, in the names of the merged scope.
 */
import {
  agentFlags,
  agentFlagsHelp,
  listAllTools,
  readAgentOptions,
  withAgent,
} from "./agent-client.ts";
import { type Command, exitCodes } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";

const separator = "__";

export const listServers: Command = {
  usage: "[--url URL] [--token-file FILE]",
  help: `Lists the servers whose tools this client may use. Operators see all of them with: server list
${agentFlagsHelp}`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, agentFlags);
    needPositionals(positionals, []);
    const tools = await withAgent(readAgentOptions(values, "all"), listAllTools);
    const counts = new Map<string, number>();
    for (const { name } of tools) {
      const server = name.split(separator)[0] ?? name;
      counts.set(server, (counts.get(server) ?? 0) + 1);
    }
    const servers = [...counts].map(([name, count]) => ({ name, tools: count }));
    if (values.json) output.json(servers);
    else if (servers.length === 0) output.note("none");
    else
      output.table(
        ["server", "tools"],
        servers.map((one) => [one.name, String(one.tools)]),
      );
    return exitCodes.done;
  },
};
