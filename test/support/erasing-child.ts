/**
 * A process for fault tests: records some calls, erases a subject and a class's month while recording more, rotates
 * keys, and ends well, unless it is to kill itself at the step of that number, before or after something that erasing
 * or rotating does. Prints each step. Arguments: the data directory, the step (0 = none), a number for this run.
 */
import { writeSync } from "node:fs";
import { until } from "./deadline.ts";
import { openErasingLog } from "./erasing-log.ts";

const [, , dataDir = "", killAt = "0", run = "0"] = process.argv;
let steps = 0;

const own = await openErasingLog(dataDir, {
  keyRetireMinutes: 0,
  step(name) {
    steps += 1;
    say(`${steps} ${name}`);
    if (steps === Number(killAt)) process.kill(process.pid, "SIGKILL");
  },
});
const subject = `client:subject-${run}`;
const month = `20${20 + Math.floor(Number(run) / 12)}-${String((Number(run) % 12) + 1).padStart(2, "0")}`;
const timeMs = Date.parse(`${month}-15T00:00:00Z`);
for (let time = 0; time < 6; time += 1) {
  await Promise.all([
    own.call(subject),
    own.call("client:keeper"),
    own.call("client:keeper", { timeMs, dataClass: "SECRET" }),
  ]);
}
await own.shipped();
// What an earlier run left to do is done first; with it, more is recorded.
await Promise.all([own.work.erasure.run(), own.call(subject), own.call("client:keeper")]);
say("asked");
const request = { by: "operator:ada", reason: "test", isUrgent: true, validateOnly: false };
await own.work.erasure.destroy({
  ...request,
  target: { kind: "subject", tenant: "", principal: subject },
});
await own.work.erasure.destroy({
  ...request,
  target: { kind: "class", tenant: "", dataClass: "SECRET", month },
});
await own.work.rotation.rotate("kek");
await own.work.rotation.rotate("index");
await own.work.rotation.run();
await until("swept", () => own.work.erasure.pending() === 0, 30_000);
await own[Symbol.asyncDispose]();
say("done");

/** Before the process can be killed. */
function say(line: string): void {
  writeSync(1, `${line}\n`);
}
