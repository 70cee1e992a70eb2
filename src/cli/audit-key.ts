/**
 * `audit key`: prints the node's public key, which whoever checks its checkpoints and proofs must be given by a way of
 * their own. Reads the data folder alone: no running gateway, and nothing is made that is not there.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { originOf } from "../audit/evidence/checkpoint.ts";
import { EvidenceError } from "../audit/evidence/evidence-error.ts";
import { renderVerifierKey } from "../audit/evidence/keys.ts";
import { nodeKeyPath, readNodeKey } from "../audit/evidence/node-key.ts";
import { readClientEnvironment } from "../config/load.ts";
import { type Command, CommandError, exitCodes } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";

export const auditKey: Command = {
  usage: "[--data-dir DIR]",
  help: `Prints this node's public key (a C2SP vkey): hand it to whoever checks checkpoints, proofs and receipts
offline, by a way they trust. After a rotation of the key, the record that both keys signed leads from the old to the new.

  --data-dir DIR     the gateway's data folder [./data]`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, { "data-dir": { type: "string" } });
    needPositionals(positionals, []);
    const dataDir = values["data-dir"] ?? readClientEnvironment().dataDir ?? "./data";
    const key = await readKey(dataDir);
    if (key === undefined) {
      throw new CommandError(
        `there is no node key at ${nodeKeyPath(dataDir)}: the gateway makes it at its first start`,
      );
    }
    output.line(renderVerifierKey(key.verifier));
    return exitCodes.done;
  },
};

async function readKey(dataDir: string) {
  const logId = readLogId(dataDir);
  if (logId === undefined) return undefined;
  try {
    return await readNodeKey(dataDir, originOf(logId));
  } catch (error) {
    if (error instanceof EvidenceError) throw new CommandError(error.message);
    throw error;
  }
}

function readLogId(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, "node-id"), "utf8").trim();
  } catch {
    return undefined;
  }
}
