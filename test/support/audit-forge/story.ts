/** A log with everything in it that somebody may want to falsify: calls, two lives, orders, a change of the node key. */
import { type ForgedLog, forgeLog } from "./log.ts";
import type { SeededRandom } from "./random.ts";

/** `isPruned`: with records emptied by retention, as only the database and exports have them. */
export function forgeStory(random: SeededRandom, isPruned: boolean): ForgedLog {
  const log = forgeLog(random);
  log.start();
  addCalls(log, random, 25 + random.below(10));
  log.order("erased", [4, 5, 7]);
  addCalls(log, random, 10);
  if (isPruned) log.order("deleted", [8, 9, 10, 14]);
  log.append("lifecycle.stopped", {});
  log.start();
  addCalls(log, random, 12);
  log.handOver();
  log.append("lifecycle.stopped", {});
  log.start();
  addCalls(log, random, 15 + random.below(10));
  log.order("erased", [30, 33]);
  addCalls(log, random, 8);
  return log;
}

export function addCalls(log: ForgedLog, random: SeededRandom, count: number): void {
  for (let call = 0; call < count; call += 1) {
    const intent = log.records.length + 1;
    const who = { principal: `client:${random.below(20)}`, client: `c${random.below(5)}` };
    const facts = { method: "tools/call", tool: `tool-${random.below(9)}`, server: "s" };
    log.append("call.intent", facts, who);
    log.append("call.outcome", { ...facts, intent, status: "success" }, who);
  }
}
